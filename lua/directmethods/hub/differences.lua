--- The known differences between this hub and IoT Hub, as data (hub:differences).
-- docs/differences.md has the same rows; spec/docs_spec.lua holds it to them.

local M = {}

---@class directmethods.Difference
---@field kind "passes here"|"fails here"|"unknown" "passes here": and fails on IoT Hub;
---  "fails here": and passes on IoT Hub, or has another answer there; "unknown": what
---  IoT Hub does is not known
---@field case string
---@field here string what this hub does
---@field azure string? what IoT Hub does
---@field advice string? what to do about it
---@field option string? the option of dm.hub that causes it
---@field section string? of docs/protocol.md

--- When the options that stand in the rows cause their differences.
---@type table<string, fun(config: table): boolean>
M.CAUSES = {
  ['contract, unless "2019"'] = function(config) return config.contract ~= "2019" end,
  ['contract = "2017"'] = function(config) return config.contract == "2017" end,
  ["api_version_optional = true"] = function(config)
    return config.api_version_optional
  end,
  ['jobs.offline = "hold"'] = function(config)
    return config.jobs.offline == "hold"
  end,
  ["no tier"] = function(config) return not config.tier end,
  ["tls = false"] = function(config) return not config.tls end,
  ["tokens = false"] = function(config) return not config.tokens end,
  ["dev_keys = true"] = function(config) return config.dev_keys end,
  ["documented_charset = false"] = function(config)
    return not config.documented_charset
  end,
}

---@type directmethods.Difference[]
M.ROWS = {
  {
    kind = "passes here",
    case = "a call with a response time-out of 1 to 4 or 301 to 3600 s, "
      .. "api-version before 2019-01-01",
    here = "accepted; the record of the call has `azure_refuses`",
    azure = "400004",
    advice = 'set `contract = "2019"`',
    option = 'contract, unless "2019"',
    section = "10",
  },
  {
    kind = "passes here",
    case = "the same with any api-version, and such a job",
    here = "accepted; the record of the call has `azure_refuses`",
    azure = "400004",
    advice = "leave the option out",
    option = 'contract = "2017"',
    section = "10",
  },
  {
    kind = "passes here",
    case = "a request without api-version",
    here = "accepted; the record of the call has `azure_refuses`",
    azure = "400001",
    advice = "leave the option out",
    option = "api_version_optional = true",
    section = "1.2",
  },
  {
    kind = "passes here",
    case = "an api-version of a date before 2016-11-14, or later than the latest "
      .. "that is known",
    here = "accepted; the record of the call has `azure_refuses`",
    azure = "400001",
    advice = "use one that SDKs send",
    section = "1.2",
  },
  {
    kind = "passes here",
    case = "a digital twin at an api-version before 2020-05-31",
    here = "answered; the record of a command has `azure_refuses`",
    azure = "has no digital twins there",
    advice = "use one that SDKs send",
    section = "13.5",
  },
  {
    kind = "passes here",
    case = "a job for a device that is offline",
    here = "waits for it, and succeeds when it comes; the record of the call has "
      .. "`azure_refuses`",
    azure = "seen to fail with `DeviceNotOnline`",
    advice = 'set `jobs = { offline = "fail" }`',
    option = 'jobs.offline = "hold"',
    section = "6.3",
  },
  {
    kind = "passes here",
    case = "functions in queries that are documented for message routes only, as "
      .. "`CONTAINS` and `LOWER`",
    here = "called",
    azure = "may be refused",
    advice = "see docs/jobs.md, The query language",
    section = "7",
  },
  {
    kind = "passes here",
    case = "a query right after a change",
    here = "sees the change",
    azure = "may see it seconds later",
    advice = "wait and repeat in the test",
    section = "7",
  },
  {
    kind = "passes here",
    case = "more calls, connections or requests than a tier allows",
    here = "served",
    azure = "429001, CONNACK 3",
    advice = "set `tier`",
    option = "no tier",
    section = "8",
  },
  {
    kind = "passes here",
    case = "more than five subscriptions of a device",
    here = "granted",
    azure = "documented limit of five",
    section = "3.5",
  },
  {
    kind = "passes here",
    case = "a device acknowledges a request of QoS 0 (PUBACK)",
    here = "ignored; counted in `puback_unowed`",
    azure = "newer gateways close the connection",
    advice = "look at the counter",
    section = "3.9",
  },
  {
    kind = "passes here",
    case = "a client that sends no server name (SNI) in its TLS handshake",
    here = "accepted",
    azure = "documented as required",
    section = "3.1",
  },
  {
    kind = "passes here",
    case = "plain TCP",
    here = "accepted",
    azure = "refused",
    advice = "use TLS",
    option = "tls = false",
    section = "3.1",
  },
  {
    kind = "passes here",
    case = "an expired token of a caller",
    here = "accepted; the record of the call has `azure_refuses`",
    azure = "401",
    advice = "for moved clocks only",
    option = "tokens = false",
    section = "4.5",
  },
  {
    kind = "passes here",
    case = "an expired token of a device",
    here = "accepted, and its connection stays",
    azure = "CONNACK 5",
    advice = "for moved clocks only",
    option = "tokens = false",
    section = "4.5",
  },
  {
    kind = "passes here",
    case = "connection strings with the published keys",
    here = "accepted",
    azure = "no hub has them",
    advice = "use keys of your own in what is deployed",
    option = "dev_keys = true",
    section = "4.6",
  },
  {
    kind = "fails here",
    case = "a payload of 8,193 to 131,072 bytes, api-version before 2019-01-01",
    here = "400004, for a device's answer 502001",
    azure = "accepted",
    advice = 'set `api_version = "2021-04-12"`',
    option = 'contract, unless "2019"',
    section = "10",
  },
  {
    kind = "fails here",
    case = "an answer of a device that is not JSON",
    here = "502001",
    azure = "200 with a broken body",
    advice = "answer JSON",
    section = "3.8",
  },
  {
    kind = "fails here",
    case = "devices over HTTPS, cloud-to-device messages, feedback, file uploads, "
      .. "configurations, import and export jobs, `/devices/keys/regenerate`",
    here = "501 `NotImplemented` that names what is missing, see docs/hub.md, Over "
      .. "HTTPS",
    azure = "supported",
    section = "13.6",
  },
  {
    kind = "fails here",
    case = "a new edge device",
    here = "has no modules",
    azure = "has the modules `$edgeAgent` and `$edgeHub`",
    section = "13.3",
  },
  {
    kind = "fails here",
    case = "AMQP, IoT Edge, message routing, the Event Hubs endpoint",
    here = "not there",
    azure = "supported",
    advice = "read the latest telemetry with `hub:messages`",
  },
  {
    kind = "fails here",
    case = "tokens of Microsoft Entra ID (`Authorization: Bearer`)",
    here = "401",
    azure = "supported",
    advice = "use a shared access policy",
    section = "1.3",
  },
  {
    kind = "fails here",
    case = "a program that needs the cloud's delay",
    here = "fails",
    azure = "passes by luck",
    advice = "see Races that a fast hub shows",
  },
  {
    kind = "unknown",
    case = "a device's answer is too large",
    here = "502001",
    section = "2.2 X16",
  },
  {
    kind = "unknown",
    case = "a device disconnects during a call",
    here = "404104 at once",
    section = "2.2 X7",
  },
  {
    kind = "unknown",
    case = "more than 100 calls under way at one device",
    here = "403800",
    section = "2.2 X24",
  },
  {
    kind = "unknown",
    case = "a disabled device is called",
    here = "404001",
    azure = "404001 is seen; the documentation also has 403012",
    section = "2.2 X3",
  },
  {
    kind = "unknown",
    case = "a filter that is not documented",
    here = "SUBACK 0x80",
    azure = "may close the connection",
    section = "3.5",
  },
  {
    kind = "unknown",
    case = "control characters in a topic filter",
    here = "the connection is closed",
    section = "13.1",
  },
  {
    kind = "unknown",
    case = "a device's status that is no 32-bit integer",
    here = "dropped, the call times out",
    azure = "edgeHub answers status 400000",
    section = "3.8",
  },
  {
    kind = "unknown",
    case = "an api-version in the user name of a device that SDKs do not send, or that "
      .. "is no date",
    here = "accepted",
    azure = "edgeHub accepts it",
    section = "3.2",
  },
  {
    kind = "unknown",
    case = "a user name without api-version",
    here = "accepted, under the first contract",
    azure = "edgeHub refuses it",
    section = "3.2",
  },
  {
    kind = "unknown",
    case = "an api-version between those that SDKs are known to send",
    here = "accepted",
    section = "1.2",
  },
  {
    kind = "unknown",
    case = "characters of method names, and the longest name",
    here = "3.7's set, 100 characters",
    section = "3.7",
  },
  {
    kind = "unknown",
    case = "names and texts of a payload outside the documented character set",
    here = "accepted",
    azure = "documented as not allowed",
    option = "documented_charset = false",
    section = "1.5",
  },
  {
    kind = "unknown",
    case = "names of members in another case, in a method call",
    here = "not read, as unknown members",
    section = "1.4",
  },
  {
    kind = "unknown",
    case = "`deviceScope` or `parentScopes` of an edge device that is not there",
    here = "kept",
    section = "13.3",
  },
  {
    kind = "unknown",
    case = "a digital twin whose properties are not those of its model",
    here = "shown and changed: the hub reads no models",
    section = "13.5",
  },
  {
    kind = "unknown",
    case = "a member that stands twice in a document",
    here = "400004 if the hub reads it; of tags and properties the last one counts",
    section = "13.6",
  },
  {
    kind = "unknown",
    case = "the text for a payload that is too large",
    here = "\"'payload' size must not exceed N bytes.\"",
    section = "2.2 X15",
  },
  {
    kind = "unknown",
    case = "`ETag` in the answer of a call, `Retry-After` with 429",
    here = "sent; sent only with `retry_after`",
    section = "1.6",
  },
  {
    kind = "unknown",
    case = "sizes of bursts and of the queue behind a rate",
    here = "one second's worth, or one minute's; 2 s of queue",
    section = "8",
  },
  {
    kind = "unknown",
    case = "keys that are not 32 bytes long",
    here = "16 to 64 bytes",
    section = "4.6",
  },
  {
    kind = "unknown",
    case = "ids in `sr` that differ in case",
    here = "refused",
    azure = "edgeHub accepts them",
    section = "4.3",
  },
  {
    kind = "unknown",
    case = "the right that jobs need",
    here = "ServiceConnect",
    section = "4.8",
  },
  {
    kind = "unknown",
    case = "aggregates and GROUP BY in `devices.modules`",
    here = "400004",
    azure = "they are documented for `devices`",
    section = "7",
  },
  {
    kind = "unknown",
    case = "the name of an aggregate without `AS`; the values that SUM, AVG, MIN "
      .. "and MAX leave out; the order of groups",
    here = "`$1`; what is no number, and for MIN and MAX no text; not defined",
    section = "7",
  },
  {
    kind = "unknown",
    case = "keywords that must stand in `[[ ]]`, besides `group`",
    here = "all words of the grammar",
    section = "7",
  },
  {
    kind = "unknown",
    case = "comments in queries",
    here = "read",
    section = "7",
  },
  {
    kind = "unknown",
    case = "PUT of a new module",
    here = "200",
    azure = "may answer 201",
    section = "5",
  },
  {
    kind = "unknown",
    case = "`Content-Type` and `Content-Encoding` of requests that are no calls",
    here = "not looked at: the body is JSON",
    azure = "may be 415",
    section = "1.4",
  },
  {
    kind = "unknown",
    case = "a PUT of a twin, or an entry of a bulk request, without `tags` or without "
      .. "`desired`",
    here = "what it leaves out is removed",
    section = "13.2",
  },
  {
    kind = "unknown",
    case = "a JSON Patch of a digital twin that removes what is not there",
    here = "202",
    section = "13.5",
  },
  {
    kind = "unknown",
    case = "how arrays, and characters beyond ASCII, count for the sizes of tags and "
      .. "properties",
    here = "an array as its elements, a character as its bytes",
    section = "13.2",
  },
  {
    kind = "unknown",
    case = "tags or properties that count little, and are more than four times their "
      .. "limit as JSON",
    here = "413001",
    section = "13.2",
  },
  {
    kind = "unknown",
    case = "names of tags and properties with `#`, or with a blank beyond ASCII",
    here = "accepted",
    azure = "edgeHub refuses them",
    section = "13.2",
  },
}

return M
