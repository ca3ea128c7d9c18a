---@meta _
-- Connections by MQTT of core.so, for editors; see core.meta.lua.

---@class directmethods.Core
local core = {}

--- What devices share that connect with the engine "uv".
---@class directmethods.Engine
local Engine = {}

--- Connections made with it live on.
function Engine:close() end

---@param tls boolean
---@param ca string? PEM; nil: the system's
---@param verify boolean
---@param cert string? PEM
---@param key string? PEM; nil: it is in cert
---@param key_password string?
---@return directmethods.Engine? engine
---@return string? name
---@return string? message
function core.mqtt_engine(tls, ca, verify, cert, key, key_password) end

--- A device's connection. Its events have the id of id().
---@class directmethods.Connection
local Connection = {}

--- Connect a device. Fields: host, port, host_name, device_id, module_id, api_version,
--- password, keepalive, clean_session, tls, verify, verify_name, ca, cert, key,
--- key_password, websocket, proxy, connect_timeout, inbox, outbox, engine.
---@param fields table
---@return directmethods.Connection? connection
---@return string? name
---@return string? message
function core.mqtt_connect(fields) end

---@return integer
function Connection:id() end

--- Subscribe to all methods.
---@return boolean? ok
---@return string? name
---@return string? message
function Connection:subscribe() end

---@return boolean? ok
---@return string? name
---@return string? message
function Connection:unsubscribe() end

---@param rid string
---@param status integer
---@param payload string
---@return boolean? ok
---@return string? name
---@return string? message
function Connection:reply(rid, status, payload) end

---@param topic string
---@param payload string
---@param qos 0|1
---@return boolean? ok
---@return string? name
---@return string? message
function Connection:publish(topic, payload, qos) end

--- The tasks of so many requests have waited or ended.
---@param n integer
function Connection:seen(n) end

--- Answers that are not written out yet.
---@return integer
function Connection:pending() end

--- Messages that nobody saw: malformed, or too many at once.
---@return integer
function Connection:dropped() end

--- The time that the hub or a proxy sent while this device connected.
---@return integer? time unix time
---@return string? who "the hub", "the proxy"
function Connection:date() end

---@param linger number? seconds that queued answers have to go out
function Connection:close(linger) end

--- Check certificates and keys, PEM texts. The message begins with the argument's name.
---@param ca string?
---@param cert string?
---@param key string?
---@param password string?
---@return boolean? ok
---@return string? name
---@return string? message
function core.tls_check(ca, cert, key, password) end
