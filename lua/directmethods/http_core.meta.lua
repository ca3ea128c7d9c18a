---@meta directmethods.http_core
-- The functions of http_core.so, for editors. Nothing loads this file; a spec
-- compares it with the module.

---@class directmethods.HttpCore
local http_core = {}

--- Requests over libcurl. Their events are "answer" (status, header block, body) and
--- "failed" (name, message, whether all of it was sent); before them "piece" (bytes),
--- if the body is wanted in pieces.
---@class directmethods.HttpClient
local Client = {}

--- A client of one host. Options: host, port, connect_host, tls, ca, ca_file, verify,
--- proxy, connections.
---@param loop userdata
---@param options table
---@return directmethods.HttpClient? client
---@return string? name
---@return string? message
function http_core.client(loop, options) end

--- Set the header lines of all requests that are sent from now on.
---@param fields string[]
function Client:fields(fields) end

---@param method string
---@param target string
---@param fields string[]? header lines of this request
---@param body string?
---@param timeout number? seconds
---@param answer_limit integer bytes of a body, at most
---@param named boolean a hub of this process finds the request by its Request-Id
---@param pieces boolean? tell the body of an answer 200 as it comes
---@return integer? id
---@return string? name
---@return string? message
function Client:send(method, target, fields, body, timeout, answer_limit, named, pieces)
end

---@param id integer
---@return boolean it was under way
function Client:cancel(id) end

--- No events come afterwards.
function Client:close() end

--- A field of an answer's header block.
---@param fields string
---@param name string
---@return string?
function http_core.field(fields, name) end

--- What the answer to a method call holds; nothing: it has another form.
---@param fields string its header block
---@param body string
---@return integer? status
---@return string? payload JSON
---@return string? request_id
function http_core.reply(fields, body) end

return http_core
