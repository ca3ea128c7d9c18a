--- service:invoke_many: the same call of many devices, a bounded number at a time.

local calls = require "directmethods.service.call"
local options = require "directmethods.options"
local task = require "directmethods.task"

local M = {}

local WHAT = "service:invoke_many"

local SPEC = {
  concurrency = { "integer", min = 1, max = 100000 },
  progress = { "function" },
}
for name, rule in pairs(calls.OPTIONS) do SPEC[name] = rule end

---@class directmethods.InvokeManyOptions
---@field concurrency integer?
-- calls in progress at a time; default: the service's max_connections
---@field response_timeout integer? as for service:invoke
---@field connect_timeout integer?
---@field retry directmethods.RetryOptions|boolean?
---@field progress fun(done: integer, total: integer, result: directmethods.ManyResult)?
-- called after each device; if it raises an error, all calls end

---@class directmethods.ManyResult
---@field device_id string
---@field module_id string?
---@field reply directmethods.Reply? the answer; nil if there is an err
---@field err directmethods.Error?

---@class directmethods.ManyResults
---@field [integer] directmethods.ManyResult in the order of the ids
---@field total integer
---@field answered integer devices that answered, whatever their status
---@field ok integer       those with a status below 400
---@field failed integer   devices that did not answer
---@field errors table<string, integer> how often each error's name occurred
---@field elapsed directmethods.Histogram seconds of the answered calls

-- "device" or "device/module"
local function read_id(id, place)
  local name = ("ids[%d]"):format(place)
  if type(id) ~= "string" then
    options.fail(WHAT, name, options.no_text(id), 3)
  end
  local device, module = id:match("^([^/]*)/(.*)$")
  calls.check_text(WHAT, name, device or id, options.rules.identity, 3)
  if module then calls.check_text(WHAT, name, module, options.rules.identity, 3) end
  return { device_id = device or id, module_id = module }
end

local function read_ids(ids)
  if type(ids) ~= "table" then
    options.fail(WHAT, "ids", "must be a list, not a " .. type(ids), 2)
  end
  local results = {}
  for i = 1, #ids do results[i] = read_id(ids[i], i) end
  return results
end

local function summary(results)
  results.total = #results
  results.answered, results.ok, results.failed = 0, 0, 0
  results.errors = {}
  results.elapsed = require("directmethods.histogram").new()
  return results
end

local function count(results, result)
  local reply = result.reply
  if reply then
    results.answered = results.answered + 1
    if reply.ok then results.ok = results.ok + 1 end
    results.elapsed:record(reply.elapsed)
  else
    local name = result.err.name
    results.failed = results.failed + 1
    results.errors[name] = (results.errors[name] or 0) + 1
  end
end

-- Call one device after another until none is left.
local function work(run)
  while run.next <= #run.results do
    local result = run.results[run.next]
    run.next = run.next + 1
    result.reply, result.err = calls.run(run.service, result.device_id,
      result.module_id, run.body, run.opts)
    count(run.results, result)
    run.done = run.done + 1
    if run.opts.progress then
      run.opts.progress(run.done, #run.results, result)
    end
  end
end

local function cancel_all(workers)
  for _, worker in ipairs(workers) do worker:cancel() end
end

--- See Service:invoke_many, which calls this.
---@return directmethods.ManyResults? results
---@return directmethods.Error? err
function M.run(service, ids, method, payload, opts)
  local results = read_ids(ids)
  calls.check_text(WHAT, "method", method, options.rules.method_name, 1)
  opts = options.check(opts, SPEC, WHAT, 1)
  calls.check_times(service, WHAT, opts, 1)
  local body, too_large = calls.body(service, WHAT, method, payload, opts, 1)
  if not body then return nil, too_large end
  local run = {
    service = service, body = body, opts = opts, next = 1, done = 0,
    results = summary(results),
  }
  local workers = setmetatable({}, { __close = cancel_all })
  local _ <close> = workers
  task.current(WHAT)
  for i = 1, math.min(opts.concurrency or service._max_connections, #results) do
    workers[i] = task.spawn(work, run)
  end
  task.wait_for_all(workers)
  for _, worker in ipairs(workers) do
    if worker.status == "failed" then error(worker.error, 0) end
  end
  return results
end

return M
