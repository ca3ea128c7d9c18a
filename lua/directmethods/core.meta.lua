---@meta directmethods.core
-- The functions of core.so, for editors. Nothing loads this file; a spec compares it
-- with the module. Its connections by MQTT are in core_mqtt.meta.lua, and its JSON in
-- core_json.meta.lua. Functions that return nil, name, message have failed: `name` is
-- that of a code in csrc/base/err.h.

---@class directmethods.Core
---@field version string
---@field paho boolean whether the engine "paho" is in this build
---@field loop userdata the event loop, for the other C modules
---@field state table what all Lua states of this loop share: tasks, objects, waits
---@field clock_id integer id of the events "clock": somebody set the system's clock
---@field log_id integer id of the events "log"
---@field signal_id integer id of the events "signal"
---@field json_array_mt table metatable that marks arrays
---@field JSON_NUMBERS integer the facts of json_decode: the text has a digit,
---@field JSON_EMPTY_ARRAYS integer an empty array,
---@field JSON_NUL integer an escaped NUL,
---@field JSON_SURROGATES integer a lone surrogate
local core = {}

-- Loop and clock ----------------------------------------------------------------

--- Run one turn of the loop. On the main thread and outside of the loop alone.
---@param seconds number? that it waits at most; nil: without end
function core.step(seconds) end

--- Run the loop until no I/O of this process is outstanding.
---@param seconds number of real time, at most
---@return boolean settled
function core.settle(seconds) end

--- The contract clock: seconds, monotonic.
---@return number
function core.now() end

--- The contract clock at this moment, in seconds and exact to a nanosecond: for
--- measurements.
---@return number
function core.precise() end

--- The contract clock as unix time.
---@return number
function core.time() end

--- Seconds until the next timer of the contract clock is due; nil: there is none.
---@return number?
function core.next_deadline() end

--- Move the contract clock forward. What becomes due fires at the next turn.
---@param seconds number
function core.move(seconds) end

--- The I/O clock, which is never moved: seconds, monotonic. For limits of real work.
---@return number
function core.real() end

--- How many times as fast as the real clock the contract clock runs.
---@param n number? sets it: 1 or more; the clock goes on from where it is
---@return number
function core.speed(n) end

--- A moment, and what the contract clock showed then: with core.speed() and the time of
-- another process it tells what it shows now.
---@return number real unix seconds of the machine's clock
---@return number time unix seconds of the contract clock
function core.clock() end

--- Tell that something (libfaketime) makes the time of this process run fast. From now
--- on the I/O clock is so much slower, as traffic is; core.speed() tells n.
---@param n number how many times as fast, 1 or more
function core.hastened(n) end

--- How many operations with real I/O are outstanding.
---@return integer
function core.outstanding() end

--- Is the loop running now, so that this is called from one of its events?
---@return boolean
function core.running() end

--- The descriptor that becomes readable when the loop wants a turn.
---@return integer
function core.fd() end

--- Seconds until the loop wants a turn by itself; nil: only its descriptor tells.
---@return number?
function core.timeout() end

--- Open handles of libuv, for tests.
---@return integer
function core.handles() end

--- Events whose Lua function raised: none, unless there is a bug.
---@return integer
function core.failed_events() end

--- Ids and tokens in use, for tests.
---@return integer ids
---@return integer tokens
function core.ids() end

--- Have one function called with all events: id, name, then the event's values.
---@param dispatch fun(id: integer, event: string, ...)
function core.set_dispatcher(dispatch) end

--- Start a timer of the contract clock. Its id gets the event "timer" once.
---@param seconds number
---@return integer id
function core.timer(seconds) end

---@param id integer
function core.cancel_timer(id) end

--- An id for an operation that Lua itself ends.
---@return integer id
function core.new_id() end

---@param id integer
function core.free_id(id) end

--- Take SIGINT, SIGTERM and SIGHUP as events, or leave them to the system. SIGHUP is
--- "reload" for a program that had no terminal.
---@param wanted boolean
function core.signals(wanted) end

-- Log -----------------------------------------------------------------------------

---@param level "debug"|"info"|"warn"|"error"|"off"
function core.log_level(level) end

--- Write a line, if its level is wanted.
---@param level "debug"|"info"|"warn"|"error"
---@param line string
function core.log(level, line) end

--- Would a line on stderr not wait for its reader?
---@return boolean
function core.stderr_takes() end

--- Is stderr the file of this "device:inode", as JOURNAL_STREAM has it?
---@param file string
---@return boolean
function core.stderr_is(file) end

-- The service manager ---------------------------------------------------------------

--- Tells a service manager how this service is (sd_notify).
---@class directmethods.Notifier
local Notifier = {}

---@param loop userdata
---@param path string of its socket: a path, or "@" and an abstract name
---@return directmethods.Notifier? notifier nil: it cannot be an address
function core.notifier(loop, path) end

---@param lines string "NAME=VALUE", separated by newlines
---@return boolean sent
function Notifier:send(lines) end

--- Send a sign of life now, and again after each so many seconds of real time.
---@param seconds number
function Notifier:watchdog(seconds) end

function Notifier:close() end

--- Children do not get this environment variable.
---@param name string
function core.forget_variable(name) end

--- CLOCK_MONOTONIC, in microseconds.
---@return integer
function core.uptime() end

-- Processes -----------------------------------------------------------------------

--- Start a program; its end is the event "done".
---@param argv string[]
---@param input string? for its stdin
---@param timeout number seconds
---@param max_output integer bytes of stdout and of stderr that are kept
---@return integer? id
---@return string? name
---@return string? message
function core.exec(argv, input, timeout, max_output) end

---@param id integer of a program that has not ended
function core.cancel_exec(id) end

--- File descriptors of this process.
---@return integer limit
---@return integer most that it may set as the limit
---@return integer open
function core.descriptors() end

-- Tokens and texts ----------------------------------------------------------------

--- A SAS token.
---@param resource string as it is before escaping
---@param key string base64
---@param expiry integer unix seconds
---@param policy string?
---@return string? token
---@return string? name
---@return string? message
function core.sas_sign(resource, key, expiry, policy) end

--- When a token expires: unix seconds; nil: it does not say.
---@param token string
---@return integer?
function core.sas_expiry(token) end

--- The parts of a connection string: host_name, gateway_host_name, device_id,
--- module_id, key, key_name, signature; x509 is true where it says so.
---@param text string
---@return table<string, string|boolean>? parts
---@return string? name
---@return string? message
function core.connstr(text) end

--- Random bytes.
---@param n integer from 1 to 65536
---@return string
function core.random(n) end

---@param bytes string
---@return string
function core.base64_encode(bytes) end

---@param text string
---@return string? bytes nil: it is not base64
function core.base64_decode(text) end

---@class directmethods.ContractOfIoTHub
---@field name string
---@field since string the first api-version it is for
---@field payload integer bytes, at most
---@field response_min integer seconds
---@field response_max integer
---@field response_default integer
---@field connect_max integer
---@field newer directmethods.ContractOfIoTHub? the one that comes after it

--- What IoT Hub allows a method call, by its api-version or by its own name.
---@param api_version string? nil: the oldest
---@param name string? goes before the version
---@return directmethods.ContractOfIoTHub
function core.contract(api_version, name) end

--- What is wrong with a method's name, in IoT Hub's words; nil: nothing.
---@param text string
---@return string?
function core.wrong_method_name(text) end

return core
