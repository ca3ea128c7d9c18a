--- `directmethods hub --workers N`: hubs of one cluster that share the ports of one
-- machine. This process starts them, waits, passes signals on, and ends when they have
-- ended. When one of them ends by itself, the others are stopped. When this process is
-- killed, they end.

local children = require "directmethods.cli.child"
local command = require "directmethods.cli.command"
local dm = require "directmethods"
local files = require "directmethods.cli.files"
local signals = require "directmethods.cli.signals"
local sql = require "directmethods.hub.sql"

local M = {}

-- Options that each worker gets from here.
local OURS = { "--workers", "--ready-file", "--mqtt-port", "--https-port",
  "--admin-port" }

-- Options that are for one hub: each writes a file, or prints.
local ALONE = { "command", "env", "log_file", "open", "record", "speed", "trace" }

local PATIENCE = 300 -- seconds that a worker has to load what the database has

-- The banner has keys: that of this process is enough.
local QUIET = { "sh", "-c", 'exec "$@" >/dev/null', "sh" }

-- The words without options and their values.
local function without(words, names)
  local left, is_value = {}, false
  for _, word in ipairs(words) do
    local is_ours = false
    for _, name in ipairs(names) do
      is_ours = is_ours or word == name or word:sub(1, #name + 1) == name .. "="
    end
    if not is_ours and not is_value then left[#left + 1] = word end
    is_value = is_ours and not word:find("=", 1, true)
  end
  return left
end

--- End the command when its options are wrong.
---@param args table
---@param opts directmethods.HubOptions
function M.check(args, opts)
  if not opts.cluster or not sql.is_url(opts.store or "") then
    command.fail(command.USAGE, "--workers needs --cluster and --store postgres://...: "
      .. "the hubs share what they know")
  end
  for _, name in ipairs(ALONE) do
    if args[name] then
      command.fail(command.USAGE, ("--workers is not for use with %s"):format(
        name == "command" and "a COMMAND" or "--" .. name:gsub("_", "-")))
    end
  end
end

---@class directmethods.CliWorkers
---@field program string[] the words that start `directmethods`
---@field words string[] options of all workers
---@field folder string
---@field list { child: directmethods.CliChild, facts: table? }[]
---@field stopping string|false the signal that stops them
---@field failed boolean a worker has ended by itself, or with an error
---@field log directmethods.CliLog
local Workers = {}
Workers.__index = Workers

local function read_facts(path)
  local file <close> = io.open(path)
  return file and dm.json.decode(file:read("a"))
end

function Workers:signal(name)
  for _, worker in ipairs(self.list) do
    if not worker.child.ended then worker.child:signal(name) end
  end
end

function Workers:stop(name)
  self.stopping = name
  self:signal(name)
end

-- Has a worker ended as it should? One that does not catch signals yet is ended by one.
function Workers:is_good(status)
  return status == command.OK or status == signals.STATUS[self.stopping]
end

-- Wait until a worker has ended, then stop the others.
function Workers:watch(i, child)
  local status = child:wait()
  if not self:is_good(status) then self.failed = true end
  if self.stopping then return end
  self.failed = true
  self.log:say("error", ("worker %d has ended with exit status %d: stopping the others")
    :format(i, status))
  self:stop("SIGTERM")
end

-- Wait until a worker serves; nil: it has ended, or it takes too long and all are
-- stopped.
function Workers:await_ready(i, worker, ready_file)
  local done = dm.wait_until(function()
    worker.facts = read_facts(ready_file)
    return worker.facts or worker.child.ended
  end, PATIENCE)
  if not done then
    self.failed = true
    self.log:say("error", ("worker %d does not serve after %d s: stopping all"):format(
      i, PATIENCE))
    self:stop("SIGTERM")
  end
  return worker.facts
end

-- Start a worker with these ports and wait until it serves; nil: it does not.
function Workers:start(ports)
  local i = #self.list + 1
  local folder = ("%s/%d"):format(self.folder, i)
  assert(dm.exec { "mkdir", "-m", "700", folder })
  local ready_file = folder .. "/ready.json"
  local words = { table.unpack(QUIET) }
  local function add(list) table.move(list, 1, #list, #words + 1, words) end
  add(self.program)
  add { "hub", "--reuse-port", "--ready-file", ready_file }
  for service, port in pairs(ports) do
    add { ("--%s-port"):format(service), tostring(port) }
  end
  add(self.words)
  local worker = { child = children.start(words, {}, folder, true) }
  self.list[i] = worker
  worker.task = dm.spawn(self.watch, self, i, worker.child)
  -- while it was started, a signal may have come, or another worker ended
  if self.stopping then worker.child:signal(self.stopping) end
  return self:await_ready(i, worker, ready_file)
end

-- Start all workers; the first picks the ports. Nil: one does not serve, or all are
-- stopped.
function Workers:start_all(count, opts)
  local admin = opts.admin_port
  local first = self:start {
    mqtt = opts.mqtt_port, https = opts.https_port, admin = admin,
  }
  for i = 1, first and count - 1 or 0 do
    if self.stopping then return nil end
    local facts = self:start {
      mqtt = first.ports.mqtt,
      https = first.ports.https,
      admin = admin and (admin == 0 and 0 or admin + i),
    }
    if not facts then return nil end
  end
  return first
end

-- What the ready file has: the facts of the first worker, and the process id and admin
-- listener of each.
function Workers:facts()
  local facts = {}
  for name, value in pairs(self.list[1].facts) do facts[name] = value end
  facts.workers = {}
  for i, worker in ipairs(self.list) do
    facts.workers[i] = {
      pid = worker.facts.pid,
      admin_url = worker.facts.admin_url,
      admin_token = worker.facts.admin_token,
      inspector_url = worker.facts.inspector_url,
    }
  end
  return facts
end

-- The words that have started this program.
local function program()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return table.move(arg, first, 0, 1, {})
end

--- Run the hubs until a signal comes or one of them ends.
---@param opts { count: integer, words: string[], options: directmethods.HubOptions,
---  log: directmethods.CliLog, on_ready: fun(facts: table) }
---@return integer status
function M.run(opts)
  local folder <close> = files.folder()
  local workers = setmetatable({
    program = program(),
    words = without(opts.words, OURS),
    folder = folder.path,
    list = {},
    stopping = false,
    failed = false,
    log = opts.log,
  }, Workers)
  signals.on(function(name) workers:stop(name) end)
  signals.on_reload(function() workers:signal("SIGHUP") end)
  if workers:start_all(opts.count, opts.options) and not workers.stopping then
    opts.on_ready(workers:facts())
  end
  for _, worker in ipairs(workers.list) do worker.task:await() end
  return workers.failed and command.LOCAL or command.OK
end

return M
