--- The routes of recordings: clients read the calls that end, as lines of a recording.

local requests = require "directmethods.hub.admin.request"

local refuse = requests.refuse

local WAIT = 30 -- default seconds of GET /recordings/{id}
local WAIT_MAX = 3600
local LINES_TYPE = "Content-Type: application/x-ndjson; charset=utf-8\r\n"

local function open(hub)
  local queue = hub.state.recordings:open()
  if not queue then refuse(503, "There are too many recordings already.") end
  return { id = queue.id }
end

local function find(hub, request)
  local queue = hub.state.recordings:find(math.tointeger(tonumber(request.id)))
  if not queue then refuse(404, "There is no such recording.") end
  return queue
end

local function read(hub, request)
  local queue = find(hub, request)
  local timeout = requests.number(request, "timeout", WAIT, WAIT_MAX)
  request.release()
  local lines = queue:read(timeout)
  if not lines then refuse(503, "The hub is closing.") end
  return lines, LINES_TYPE
end

local function drop(hub, request)
  hub.state.recordings:drop(find(hub, request).id)
end

---@type directmethods.AdminRoute[]
return {
  { path = "/recordings", POST = { open } },
  { path = "/recordings/{id}", GET = { read, timeout = true }, DELETE = { drop } },
}
