-- What dm.service checks, sends and makes of answers; a stand-in for http_core
-- records requests and answers them, so no hub is needed.
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local json = require "directmethods.json"
local task = require "directmethods.task"
local time = require "directmethods.time"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local CONNECTION = "HostName=myhub.azure-devices.net;SharedAccessKeyName=service;"
  .. "SharedAccessKey=" .. KEY
local TOKEN = "SharedAccessSignature sr=h&sig=c2ln&se="
local OK = '{"status":200,"payload":null}'

local http, dm_service

-- Requests are answered by http.answers, in order; the last one stays.
local function fake_http()
  local fake = { sent = {}, cancelled = {}, answers = { { "answer", 200, "", OK } } }
  local client = {}
  function client:fields(fields) fake.fields = table.concat(fields, "\n") end
  function client:send(method, target, fields, body, timeout, limit, named)
    local id, config = core.new_id(), fake.config
    fake.sent[#fake.sent + 1] = {
      id = id, method = method, host = config.host, port = config.port,
      connect_host = config.connect_host, target = target,
      fields = table.concat({ fake.fields, table.unpack(fields or {}) }, "\n"),
      body = body, timeout = timeout, limit = limit, named = named,
    }
    local answer = #fake.answers > 1 and table.remove(fake.answers, 1)
      or fake.answers[1]
    if answer then
      task.after(0, function() task.finish(id, table.unpack(answer, 1, 4)) end)
    end
    return id
  end
  function client:cancel(id) fake.cancelled[#fake.cancelled + 1] = id end
  function client:close() fake.closed = (fake.closed or 0) + 1 end
  function fake.client(loop, config)
    assert(loop == core.loop)
    fake.config = config
    return client
  end
  return fake
end

local function make(opts)
  opts = opts or {}
  opts.connection_string = opts.connection_string or CONNECTION
  return (dm_service(opts))
end

local function failure(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_nil(tostring(message):find(KEY, 1, true))
  return message
end

local function last() return http.sent[#http.sent] end

describe("dm.service", function()
  local real

  before_each(function()
    real = require "directmethods.http_core"
    dm_service = require("directmethods.service").service
    http = fake_http()
    package.loaded["directmethods.http_core"] = http
  end)

  after_each(function()
    package.loaded["directmethods.http_core"] = real
    task.cancel_all()
    for _, request in ipairs(http.sent) do core.free_id(request.id) end
    assert.equal(0, task.count())
  end)

  it("refuses connection strings of no service, naming the field", function()
    for text, rule in pairs {
      [""] = "is wrong: ",
      ["HostName=h;DeviceId=d;SharedAccessKey=" .. KEY] = "is a device's",
      ["HostName=h;SharedAccessKey=" .. KEY] = "has no SharedAccessKeyName",
      ["HostName=h;SharedAccessKeyName=s"] = "needs SharedAccessKeyName and",
      ["HostName=h:443;SharedAccessKeyName=s;SharedAccessKey=" .. KEY] = "HostName",
      ["HostName=h;SharedAccessKeyName=s;SharedAccessKey=a%secret"] = "SharedAccessKey",
      ["HostName=h;Nonsense=1;SharedAccessKey=" .. KEY] = "field",
      ["HostName=h;SharedAccessSignature=secret"] = "SharedAccessSignature is not",
      ["HostName=h;GatewayHostName=g;SharedAccessKeyName=s;SharedAccessKey=" .. KEY] =
        "has a GatewayHostName",
    } do
      local message = failure(dm_service, { connection_string = text })
      assert.matches("dm.service: option 'connection_string'", message, 1, true)
      assert.matches(rule, message, 1, true)
      assert.is_nil(message:find("secret", 1, true))
    end
  end)

  it("refuses wrong options, naming them", function()
    for rule, opts in pairs {
      ["unknown option 'conection_string' (did you mean 'connection_string'?)"] =
        { conection_string = CONNECTION },
      ["option 'connection_string' is required"] = {},
      ["option 'connection_string' must not be given together"] =
        { connection_string = CONNECTION, host = "h" },
      ["option 'host' must be a host name without a port"] =
        { host = "h:443", sas = TOKEN .. "2000000000" },
      ["option 'sas' must be a token"] = { host = "h", sas = "nonsense" },
      ["option 'port' must be from 1 to 65535, not 0"] =
        { connection_string = CONNECTION, port = 0 },
      ["option 'api_version' must be of the form"] =
        { connection_string = CONNECTION, api_version = "2018-06" },
      ["option 'tls.ca' cannot be read"] =
        { connection_string = CONNECTION, tls = { ca = "no-such-folder/ca.pem" } },
      ["option 'tls.ca' must be a certificate in PEM"] =
        { connection_string = CONNECTION, tls = { ca = "spec/support/run.lua" } },
      ["option 'tls.verify' must be of type boolean"] =
        { connection_string = CONNECTION, tls = { verify = "no" } },
      ["option 'proxy' must be a URL"] =
        { connection_string = CONNECTION, proxy = "proxy:3128" },
      ["option 'max_connections' must be from 1"] =
        { connection_string = CONNECTION, max_connections = 0 },
    } do
      local message = failure(dm_service, opts)
      assert.is_truthy(message:find("dm.service: " .. rule, 1, true), message)
    end
  end)

  it("raises at the user's line", function()
    for _, opts in ipairs {
      { connection_string = "x" }, { port = "x" }, { host = "h:1", sas = TOKEN .. "1" },
      { connection_string = CONNECTION, tls = { ca = "no-such-folder/ca.pem" } },
    } do
      local line = debug.getinfo(1, "l").currentline + 1
      local message = failure(function() local _ = dm_service(opts) end)
      assert.matches("service_values_spec.lua:" .. line .. ": dm.service", message, 1,
        true)
    end
  end)

  it("hands its TLS, proxy and pool to the HTTP client", function()
    local function config_of(opts)
      make(opts)
      local config = http.config
      assert.equal("myhub.azure-devices.net", config.host)
      config.host = nil
      return config
    end
    assert.same({ tls = true, verify = true, connections = 64, port = 443 },
      config_of())
    assert.same({ tls = false, verify = false, connections = 3, port = 80,
        proxy = "http://u:p@h:1", connect_host = "127.0.0.1" },
      config_of { tls = false, max_connections = 3, proxy = "http://u:p@h:1", port = 80,
        connect_host = "127.0.0.1" })
    assert.same({ tls = true, verify = false, connections = 64, port = 443,
        ca = "-----BEGIN CERTIFICATE-----" },
      config_of { tls = { ca = "-----BEGIN CERTIFICATE-----", verify = false } })
  end)

  it("shows no key in its fields or as text", function()
    local service = make()
    assert.equal("directmethods.service (myhub.azure-devices.net, open)",
      tostring(service))
    for _, value in pairs(service) do
      assert.is_nil(tostring(value):find(KEY, 1, true))
    end
  end)

  describe("requests", function()
    it("have path, fields and body", function()
      make():invoke("dev1", "reboot", { 1 }, { response_timeout = 200,
        connect_timeout = 5 })
      local sent = last()
      assert.equal("POST", sent.method)
      assert.equal("myhub.azure-devices.net", sent.host)
      assert.equal(443, sent.port)
      assert.equal("/twins/dev1/methods?api-version=2018-06-30", sent.target)
      assert.equal('{"methodName":"reboot","responseTimeoutInSeconds":200,'
        .. '"connectTimeoutInSeconds":5,"payload":[1]}', sent.body)
      assert.equal(200 + 5 + 10, sent.timeout)
      assert.equal(package.loaded["directmethods.hub_core"] ~= nil, sent.named)
      assert.matches("\nContent-Type: application/json; charset=utf-8", sent.fields,
        1, true)
      assert.matches("^Authorization: SharedAccessSignature "
        .. "sr=myhub.azure%-devices.net&sig=[^&]+&se=%d+&skn=service\n", sent.fields)
      assert.is_nil(sent.fields:find("client-request-id", 1, true))
    end)

    it("escape ids and name the module", function()
      make { port = 8443, connect_host = "127.0.0.1", api_version = "2021-04-12" }
        :invoke("a+b#c%d", "m", nil, { module_id = "m:1", request_id = "r-1" })
      assert.equal("/twins/a%2Bb%23c%25d/modules/m%3A1/methods?api-version=2021-04-12",
        last().target)
      assert.equal(8443, last().port)
      assert.equal("127.0.0.1", last().connect_host)
      assert.matches("\nx-ms-client-request-id: r-1", last().fields, 1, true)
      make():invoke("..", "m")
      assert.equal("/twins/%2E%2E/methods?api-version=2018-06-30", last().target)
    end)

    it("tell an absent payload from null, text and raw JSON", function()
      local service = make()
      local function body(payload)
        service:invoke("d", "m", payload)
        return last().body:match('^{"methodName":"m"(.*)}$')
      end
      assert.equal("", body(nil))
      assert.equal(',"payload":null', body(json.null))
      assert.equal(',"payload":"x"', body("x"))
      assert.equal(',"payload":""', body(""))
      assert.equal(',"payload":{"a": 1e400}', body(json.raw('{"a": 1e400}')))
      assert.equal(',"payload":false', body(false))
      assert.equal(',"payload":{}', body({}))
      assert.equal(',"payload":[]', body(json.array()))
      assert.equal(',"payload":9007199254740993', body(9007199254740993))
    end)

    it("are the same in the table form", function()
      local service = make()
      service:invoke { device_id = "d", method = "m", payload = { 1 },
        response_timeout = 9 }
      assert.equal('{"methodName":"m","responseTimeoutInSeconds":9,"payload":[1]}',
        last().body)
      assert.matches("unknown option 'devise_id' (did you mean 'device_id'?)",
        failure(service.invoke, service, { devise_id = "d", method = "m" }), 1, true)
      assert.matches("option 'method' is required",
        failure(service.invoke, service, { device_id = "d" }), 1, true)
      assert.matches("the table must be the only argument",
        failure(service.invoke, service, { device_id = "d", method = "m" }, "x"),
        1, true)
    end)
  end)

  describe("arguments", function()
    it("are refused before anything is sent, naming field and rule", function()
      local service = make()
      local function refused(rule, ...)
        local message = failure(service.invoke, service, ...)
        assert.is_truthy(message:find("service:invoke: " .. rule, 1, true), message)
      end
      refused("device_id must be a string, not a nil")
      refused("device_id must be a string, not a number", 1, "m")
      refused("device_id must be 1 to 128", "", "m")
      refused("device_id must be 1 to 128", ("x"):rep(129), "m")
      refused("device_id must be 1 to 128", "a/b", "m")
      refused("device_id must be 1 to 128", "a\0", "m")
      refused("method must be a string, not a nil", "d")
      refused("method must be 1 to 100", "d", "")
      refused("method must be 1 to 100", "d", "a b")
      refused("method must be 1 to 100", "d", "a/b")
      refused("method must be 1 to 100", "d", ("x"):rep(101))
      refused("payload.f[1]: a function has no JSON form", "d", "m", { f = { print } })
      refused("options must be a table", "d", "m", nil, 5)
      refused("unknown option 'respons_timeout' (did you mean 'response_timeout'?)",
        "d", "m", nil, { respons_timeout = 5 })
      refused("unknown option 'timeout' (did you mean 'connect_timeout' or "
        .. "'response_timeout'?)", "d", "m", nil, { timeout = 5 })
      refused("option 'response_timeout' must be of type integer", "d", "m", nil,
        { response_timeout = "30" })
      refused("option 'response_timeout' must be of type integer", "d", "m", nil,
        { response_timeout = 1.5 })
      refused("option 'module_id' must be 1 to 128", "d", "m", nil, { module_id = "/" })
      refused("option 'request_id' must be 1 to 128", "d", "m", nil,
        { request_id = "a\r\nb: c" })
      assert.same({}, http.sent)
    end)

    it("raise at the user's line", function()
      local service = make()
      for _, arguments in ipairs {
        { 1 }, { "d", "m", print }, { "d", "m", nil, { x = 1 } }, { { x = 1 } },
        { "d", "m", nil, { response_timeout = 0 } }, { {}, 1 },
      } do
        local line = debug.getinfo(1, "l").currentline + 2
        local message = failure(function()
          local _ = service:invoke(table.unpack(arguments, 1, 4))
        end)
        assert.matches("service_values_spec.lua:" .. line .. ": service:invoke",
          message, 1, true)
      end
    end)

    it("have the timeouts of the api-version's contract", function()
      for version, range in pairs {
        ["2018-06-30"] = { 1, 3600 }, ["2016-09-30-preview"] = { 1, 3600 },
        ["2019-01-01"] = { 5, 300 }, ["2021-04-12"] = { 5, 300 },
      } do
        local service = make { api_version = version }
        for _, seconds in ipairs(range) do
          assert(service:invoke("d", "m", nil, { response_timeout = seconds }))
        end
        for _, seconds in ipairs { range[1] - 1, range[2] + 1, -1 } do
          local rule = ("option 'response_timeout' must be from %d to %d s with "
            .. "api-version %s, not %d"):format(range[1], range[2], version, seconds)
          assert.matches(rule, failure(service.invoke, service, "d", "m", nil,
            { response_timeout = seconds }), 1, true)
        end
        assert(service:invoke("d", "m", nil, { connect_timeout = 300 }))
        assert.matches("'connect_timeout' must be from 0 to 300",
          failure(service.invoke, service, "d", "m", nil, { connect_timeout = 301 }))
      end
    end)

    it("have the payload size of the api-version's contract", function()
      local function text_of(bytes) return ("x"):rep(bytes - 2) end
      local service = make()
      assert(service:invoke("d", "m", text_of(8192)))
      local count = #http.sent
      local _, err = service:invoke("d", "m", text_of(8193))
      assert.equal("LimitExceeded", err.name)
      assert.equal("service:invoke: the payload has 8193 bytes, api-version 2018-06-30 "
        .. "allows 8192; from api-version 2019-01-01 on 131072 are allowed",
        err.message)
      assert.is_false(err.retriable)
      service = make { api_version = "2021-04-12" }
      assert(service:invoke("d", "m", text_of(131072)))
      _, err = service:invoke("d", "m", text_of(131073))
      assert.matches("has 131073 bytes, api%-version 2021%-04%-12 allows 131072$",
        err.message)
      assert.equal(count + 1, #http.sent)
    end)
  end)

  describe("answers", function()
    local function answered(...)
      http.answers = { { ... } }
      return make():invoke("d", "m")
    end

    it("become replies", function()
      local reply = answered("answer", 200, "x-ms-request-id: abc\r\n",
        '{"status":201,"payload":{"big":9007199254740993,"list":[]}}')
      assert.equal(201, reply.status)
      assert.is_true(reply.ok)
      assert.equal('{"big":9007199254740993,"list":[]}', reply.body)
      assert.equal(9007199254740993, reply.payload.big)
      assert.equal(reply.payload, reply.payload)
      assert.is_nil(reply.decode_error)
      assert.equal("abc", reply.request_id)
      assert.equal("number", type(reply.elapsed))
      assert.is_nil(reply.nonsense)
    end)

    it("keep status and null", function()
      assert.is_true(answered("answer", 200, "", '{"status":399,"payload":1}').ok)
      local reply = answered("answer", 200, "", '{"payload":null,"status":400}')
      assert.is_false(reply.ok)
      assert.equal(json.null, reply.payload)
      assert.equal("null", reply.body)
      assert.equal(-1, answered("answer", 200, "", '{"status":-1,"payload":0}').status)
      reply = answered("answer", 200, "", '{"status":1,"payload":false}')
      assert.equal(false, reply.payload)
    end)

    it("keep what cannot be decoded as body", function()
      local body = "[1,99999999999999999999]"
      local reply = answered("answer", 200, "", '{"status":9,"payload":' .. body .. "}")
      assert.equal(body, reply.body)
      assert.equal("InvalidJson", reply.decode_error.name)
      assert.is_nil(reply.payload)
      reply = answered("answer", 200, "", '{"status":200,"payload":hello {}}')
      assert.equal("hello {}", reply.body)
      assert.is_nil(reply.payload)
      assert.equal("InvalidJson", reply.decode_error.name)
      assert.equal(200, reply.status)
    end)

    it("of no known form are errors", function()
      for _, body in ipairs { "", "[]", "<html>", "{}", '{"status":"200"}',
        '{"status":1.5,"payload":1}', '{"payload":1}' } do
        local reply, err = answered("answer", 200, "", body)
        assert.is_nil(reply)
        assert.equal("ProtocolError", err.name)
        assert.equal(200, err.http_status)
      end
    end)

    it("with another status are the hub's errors", function()
      local reply, err = answered("answer", 404, "iothub-errorcode: DeviceNotOnline")
      assert.is_nil(reply)
      assert.equal("DeviceNotOnline", err.name)
      assert.equal(404103, err.code)
      assert.is_true(err.retriable)
    end)

    it("that never came say whether the call may have run", function()
      local _, err = answered("failed", "ConnectFailed", "refused", false)
      assert.is_true(errors.is_error(err))
      assert.equal("ConnectFailed: refused", tostring(err))
      assert.is_true(err.retriable)
      _, err = answered("failed", "ConnectFailed", "reset", true)
      assert.is_false(err.retriable)
      _, err = answered("failed", "TlsFailed", "no", false)
      assert.is_false(err.retriable)
    end)
  end)

  describe("tokens", function()
    local function token() return last().fields:match("Authorization: ([^\n]+)") end

    it("are kept, and renewed before they expire", function()
      local service = make { token_ttl = 100 }
      service:invoke("d", "m")
      local first = token()
      local expiry = core.sas_expiry(first)
      assert.is_true(math.abs(expiry - core.time() - 100) <= 1.5)
      core.move(70)
      service:invoke("d", "m")
      assert.equal(first, token())
      core.move(15)
      service:invoke("d", "m")
      assert.not_equal(first, token())
      assert.is_true(core.sas_expiry(token()) >= expiry + 80)
    end)

    it("that were given are sent until they have expired", function()
      local given = TOKEN .. math.floor(core.time() + 100)
      local service = dm_service { host = "h", sas = given }
      assert(service:invoke("d", "m"))
      assert.equal(given, token())
      core.move(99 + 300)
      assert(service:invoke("d", "m"))
      core.move(3)
      local count = #http.sent
      local reply, err = service:invoke("d", "m")
      assert.is_nil(reply)
      assert.equal("Unauthorized", err.name)
      assert.matches("expired at %d+%-%d+%-%d+T", err.message)
      assert.equal(count, #http.sent)
    end)
  end)

  describe("line", function()
    local function sent(n)
      return function() return #http.sent >= n end
    end

    it("lets only so many requests start, in order", function()
      http.answers = {}
      local service = make { max_connections = 2 }
      local calls = {}
      for i = 1, 5 do
        calls[i] = task.spawn(function() return service:invoke("d" .. i, "m") end)
      end
      time.wait_until(sent(2), 5)
      time.sleep(0)
      assert.equal(2, #http.sent)
      task.finish(http.sent[1].id, "failed", "ProtocolError", "x", true)
      time.wait_until(sent(3), 5)
      assert.matches("/twins/d3/", last().target, 1, true)
      calls[2]:cancel() -- under way: its place goes to the next
      time.wait_until(sent(4), 5)
      assert.matches("/twins/d4/", last().target, 1, true)
      calls[5]:cancel() -- in line: leaves it
      for i = 3, 4 do task.finish(http.sent[i].id, "answer", 200, "", OK) end
      assert.equal(200, calls[3]:await(5).status)
      assert.equal(200, calls[4]:await(5).status)
      http.answers = { { "answer", 200, "", OK } }
      for _ = 1, 3 do assert(service:invoke("d", "m")) end
      assert.equal(7, #http.sent)
    end)

    it("keeps no place for a task that was cancelled when its turn came", function()
      http.answers = {}
      local service = make { max_connections = 1 }
      local first = task.spawn(function() return service:invoke("d1", "m") end)
      local second = task.spawn(function() return service:invoke("d2", "m") end)
      time.wait_until(sent(1), 5)
      first:cancel()
      second:cancel()
      second:await(5)
      http.answers = { { "answer", 200, "", OK } }
      assert(service:invoke("d3", "m"))
      assert.matches("/twins/d3/", last().target, 1, true)
    end)

    it("ends with the client", function()
      http.answers = {}
      local service = make { max_connections = 1 }
      local calls = {}
      for i = 1, 3 do
        calls[i] = task.spawn(function() return service:invoke("d", "m") end)
      end
      time.wait_until(function() return calls[3].status == "waiting" end, 5)
      service:close()
      for i = 1, 3 do
        local _, err = calls[i]:await(5)
        assert.equal("Closed", err.name)
      end
      assert.equal(1, #http.sent)
    end)
  end)

  describe("life", function()
    it("ends with close, which is harmless again", function()
      local service = make()
      do local _ <close> = service end
      assert.equal(1, http.closed)
      service:close()
      assert.equal(1, http.closed)
      assert.matches("closed", tostring(service))
      assert.matches("service:invoke: attempt to use a closed service",
        failure(service.invoke, service, "d", "m"))
    end)

    it("ends calls under way with Closed", function()
      http.answers = {}
      local service = make()
      local call = task.spawn(function() return service:invoke("d", "m") end)
      time.wait_until(function() return #http.sent == 1 end, 5)
      service:close()
      local reply, err = call:await(5)
      assert.is_nil(reply)
      assert.equal("Closed", err.name)
      assert.is_false(err.retriable)
    end)

    local heads = { invoke = "", command = "x-ms-command-statuscode: 200" }
    for method, head in pairs(heads) do
      it("goes on during " .. method .. " if only the call holds it", function()
        http.answers = {}
        local call = task.spawn(function()
          local service = make()
          return service[method](service, "d", "m")
        end)
        time.wait_until(function() return #http.sent == 1 end, 5)
        collectgarbage()
        collectgarbage()
        task.finish(last().id, "answer", 200, head, OK)
        local reply, err = call:await(5)
        assert(reply, tostring(err))
      end)
    end

    it("cancels the request with the task", function()
      http.answers = {}
      local service = make()
      local call = task.spawn(function() return service:invoke("d", "m") end)
      time.wait_until(function() return #http.sent == 1 end, 5)
      call:cancel()
      local _, err = call:await(5)
      assert.equal("Cancelled", err.name)
      assert.same({ last().id }, http.cancelled)
    end)
  end)
end)
