--- The main path with failing allocations; for the sanitized interpreter, whose
-- fail_alloc makes them fail.

local dm = require "directmethods"

local M = {}

local fail_alloc = rawget(_G, "fail_alloc")
local PATIENCE = 1.5 -- seconds for a device or call whose event was lost

--- A call from the service to a device. What fails, fails; what was made is closed.
---@return string body of the answer
function M.main_path()
  local hub <close> = assert(dm.hub { tls = false })
  local device <close> = assert(hub:device("dev1", {
    echo = function(request) return 200, request.payload end,
  }, { reconnect = { min = 0.02, max = 0.1 } }))
  assert(device:connect(PATIENCE))
  local service <close> = assert(hub:service())
  return assert(dm.timeout(PATIENCE, service.invoke, service, "dev1", "echo", { "x" }))
    .body
end

--- The main path with the n-th allocation failing.
---@param kind "c"|"lua"
---@return boolean failed one did
---@return boolean ok, string|any result as pcall's
function M.failing(kind, n)
  fail_alloc(kind, n)
  local ok, result = pcall(M.main_path)
  return fail_alloc(kind, 0) == 0, ok, result
end

--- Some of Lua's own, which are thousands; prints how many paths came to an end.
function M.sample_lua(samples, seed)
  local most = 1000000
  M.main_path()
  fail_alloc("lua", most)
  M.main_path()
  local count = most - fail_alloc("lua", 0)
  math.randomseed(seed)
  local ended = 0
  for _ = 1, samples do
    M.failing("lua", math.random(count))
    ended = ended + 1
  end
  print(("%d of %d, then %s"):format(ended, samples, M.main_path()))
end

return M
