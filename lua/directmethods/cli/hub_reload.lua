--- What `directmethods hub` does at SIGHUP: it opens its log again, and reads its
-- certificate and its `--config` again. An error is reported in one line, and then
-- nothing is changed.

local configs = require "directmethods.hub.config"
local command = require "directmethods.cli.command"
local dm = require "directmethods"
local hub_file = require "directmethods.cli.hub_file"
local hub_merge = require "directmethods.cli.hub_merge"
local hub_start = require "directmethods.cli.hub_start"
local option_rules = require "directmethods.hub.option_rules"
local signals = require "directmethods.cli.signals"
local tables = require "directmethods.tables"

local M = {}

---@class directmethods.CliReload
---@field hub directmethods.Hub
---@field args table
---@field file directmethods.HubFile what the hub has now
---@field opts table                 options of dm.hub that it has now
---@field log directmethods.CliLog
local Reload = {}
Reload.__index = Reload

---@param fields { hub: directmethods.Hub, args: table, file: directmethods.HubFile,
---  opts: table, log: directmethods.CliLog }
---@return directmethods.CliReload
function M.new(fields)
  return setmetatable(fields, Reload)
end

-- Trying -------------------------------------------------------------------------

-- Try the devices and faults at a separate hub, to find what is wrong with them.
local function rehearse(args, file)
  local limits = type(file.options.limits) == "table" and file.options.limits or {}
  local hub <close> = assert(dm.hub {
    tls = false, limits = { identities = limits.identities },
  })
  local copy = file:copy()
  local _ <close> = setmetatable({}, { __close = function() copy:close() end })
  hub_start.populate(hub, args, copy)
end

-- Read everything again. If something is wrong, it raises and nothing has changed.
local function read(args)
  local file = args.config and hub_file.read(args.config) or hub_file.new()
  local opts = hub_start.options(args, file)
  local ok, why = pcall(configs.read, opts)
  if not ok then hub_start.fail(why, args, file) end
  if args.config then rehearse(args, file) end
  return file, opts
end

-- Changing -----------------------------------------------------------------------

-- All options that differ: name -> new value, those of tables as "limits.calls".
local function differences(before, now, prefix, found)
  local names = {}
  for name in pairs(before) do names[name] = true end
  for name in pairs(now) do names[name] = true end
  for name in pairs(names) do
    local a, b = before[name], now[name]
    if prefix == "" and type(a or b) == "table" and name ~= "aliases" then
      differences(a or {}, b or {}, name .. ".", found)
    elseif not tables.equal(a, b) then
      found[#found + 1] = { name = prefix .. name, value = b }
    end
  end
  return found
end

-- The table { limits = { calls = 1 } } for "limits.calls".
local function put(changes, name, value)
  local first, second = name:match("^([^.]+)%.(.+)$")
  if not first then
    changes[name] = value
  else
    changes[first] = changes[first] or {}
    changes[first][second] = value
  end
end

-- The certificate is read again, whatever its path is.
local function change_certificate(self, opts)
  local tls = opts.tls
  if tls == false or (tls == nil or tls == true)
    and self.hub.config.store == ":memory:" then return end
  command.try(self.hub.use_certificate, self.hub, type(tls) == "table" and tls or nil)
end

local function change_options(self, opts)
  local changes, rest = {}, {}
  for _, each in ipairs(differences(self.opts, opts, "", {})) do
    if each.value ~= nil and option_rules.may_change(each.name) then
      put(changes, each.name, each.value)
      put(self.opts, each.name, each.value)
    elseif not each.name:find("^tls") then
      rest[#rest + 1] = each.name
    end
  end
  if next(changes) then command.try(self.hub.change, self.hub, changes) end
  if not rest[1] then return end
  table.sort(rest)
  self.log:say("warn", ("reload: only a restart changes %s"):format(
    table.concat(rest, ", ")))
end

local function change(self, file, opts)
  change_certificate(self, opts)
  change_options(self, opts)
  hub_merge.merge(file, self.hub, self.file)
  self.file = file
end

-- The message for the user; only a defect of ours has a traceback.
local function text_of(raised)
  local text = tostring(raised)
  return command.is_failure(raised) and text:gsub("\n", "; ")
    or debug.traceback(text, 2)
end

--- Read everything again. Waits.
---@return boolean done false: the log says what is wrong
function Reload:run()
  self.log:reopen()
  local file, opts = nil, nil
  local ok, why = xpcall(function()
    file, opts = read(self.args)
    change(self, file, opts)
  end, text_of)
  if not ok then
    self.log:say("error", ("reload: %s; the hub goes on as it was"):format(why))
  end
  return ok
end

--- Reload at SIGHUP, one after the other. `tell` says then what the hub is.
---@param manager directmethods.CliManager
---@param tell fun()
function Reload:at_hangup(manager, tell)
  local wanted, busy = false, false
  signals.on_reload(function()
    wanted = true
    if busy then return end
    busy = true
    while wanted do
      wanted = false
      manager:reloading()
      local done = self:run()
      tell()
      if done then self.log:say("info", "reloaded") end
    end
    busy = false
  end)
end

return M
