--- Requests to the admin listener of a local hub.

local calls = require "directmethods.service.call"
local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local json = require "directmethods.json"
local task = require "directmethods.task"

local M = {}

local TIMEOUT = 60 -- seconds of real time
local ANSWER_MAX = 64 * 1024 * 1024 -- bytes

--- Do we know an admin listener of this hub?
---@param target directmethods.CliTarget
---@return boolean
function M.is_there(target)
  return (target.admin_url or target.ports.admin) ~= nil and target.admin_token ~= nil
end

-- The options of a client of the listener. Certificates are for the hub's name.
local function client_options(target)
  local url = target.admin_url or ("http://127.0.0.1:%d"):format(target.ports.admin)
  local scheme, host, port = url:match("^(https?)://%[?([^/%]]+)%]?:(%d+)/?$")
  if not scheme then
    command.fail(command.USAGE, ("%s: is no URL of an admin listener"):format(url))
  end
  if scheme == "http" then
    return { host = host, port = tonumber(port), tls = false, connections = 1 }
  end
  return {
    host = target.hostname, connect_host = host, port = tonumber(port), tls = true,
    verify = true, ca_file = target.tls and target.tls.ca, connections = 1,
  }
end

--- A connection to the admin listener that serves many requests.
---@class directmethods.AdminSession
local Session = {}
Session.__index = Session

--- Connect to the admin listener when it is first asked. If this hub is not known to
-- have one, the command ends.
---@param target directmethods.CliTarget
---@return directmethods.AdminSession
function M.open(target)
  if not M.is_there(target) then
    command.fail(command.USAGE, "this needs the admin listener of a local hub "
      .. "(`directmethods hub --admin-port 0 --ready-file FILE`)")
  end
  local http = require "directmethods.http_core"
  local client, name, message = http.client(core.loop, client_options(target))
  if not client then command.fail(command.LOCAL, ("%s: %s"):format(name, message)) end
  client:fields {
    "Authorization: Bearer " .. target.admin_token,
    "Content-Type: application/json; charset=utf-8",
  }
  return setmetatable({ client = client }, Session)
end

function Session:close()
  self.client:close()
end

Session.__close = Session.close

--- Send a request.
---@param method string
---@param path string
---@param document any? to be sent as JSON
---@return integer? status
---@return string answer; without a status: why there is none
function Session:send(method, path, document)
  local id, name, message = self.client:send(method, path, nil,
    document and json.encode(document), TIMEOUT * core.speed(), ANSWER_MAX, false)
  if not id then return nil, ("%s: %s"):format(name, message) end
  local event, status, fields, answer = task.wait(id)
  if event == "answer" then return status, answer end
  return nil, ("the admin listener: %s: %s"):format(status, fields)
end

--- Ask for an answer that comes in pieces. `tell` is called, by the event loop, with
-- "piece" and bytes; at last with "answer", status and body, or "failed" and why.
---@param path string
---@param fields string[] header lines
---@param tell fun(event: string, ...)
function Session:stream(path, fields, tell)
  local id, name, message = self.client:send("GET", path, fields, nil, nil, ANSWER_MAX,
    false, true)
  if not id then return tell("failed", ("%s: %s"):format(name, message)) end
  task.objects[id] = function(event, first, second, third)
    if event == "piece" then return tell(event, first) end
    task.objects[id] = nil
    if event == "answer" then return tell(event, first, third) end
    tell(event, ("%s: %s"):format(first, second))
  end
end

-- A message of the hub in the words of the command line.
local function words_of(message)
  return (message:gsub("^hub:[%w_]+: ", ""):gsub("option ('[%w_]+')", "%1"))
end

--- End the command: the listener has refused a request. HTTP status 400 means wrong
-- arguments, so the exit status is command.USAGE; otherwise it is command.HUB.
---@param status integer of HTTP
---@param document any the answer, decoded
function M.refuse(status, document)
  command.fail(status == 400 and command.USAGE or command.HUB,
    type(document) == "table" and words_of(document.Message)
      or ("HTTP status %d"):format(status))
end

--- Send a request. If it is refused, the command ends.
---@param method string
---@param path string
---@param document any? to be sent as JSON
---@return any document nil: the answer has none
function Session:ask(method, path, document)
  local status, answer = self:send(method, path, document)
  if not status then command.fail(command.LOCAL, answer) end
  local found = answer ~= "" and json.decode(answer) or nil
  if status >= 400 then M.refuse(status, found) end
  return found
end

--- Send one request to the admin listener. If it is refused, the command ends.
---@param target directmethods.CliTarget
---@param method string
---@param path string
---@param document any? to be sent as JSON
---@return any document nil: the answer has none
function M.ask(target, method, path, document)
  local session <close> = M.open(target)
  return (session:ask(method, path, document))
end

--- The path of an id in a folder, escaped.
---@param folder string "/devices/"
---@param id string
---@return string
function M.path(folder, id)
  return folder .. calls.escape(id)
end

return M
