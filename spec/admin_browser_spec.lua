--- The admin listener and browsers: a page's session, and what pages of other sites may
-- make a browser send.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"

local COOKIE = "^(directmethods_%d*)=(%x+); Path=/; HttpOnly; SameSite=Strict$"

describe("a browser at the admin listener", function()
  local hub, port

  before_each(function()
    hub = fixture.hub { admin_port = 0 }
    port = hub:ports().admin
  end)

  after_each(function() fixture.finish(hub) end)

  -- A request without a token, if `headers` have none.
  local function ask(method, target, headers, body)
    local request = { method = method, target = target, bare = true, body = body or "",
      headers = { "Content-Length: " .. #(body or "") } }
    local has_host = false
    for _, line in ipairs(headers or {}) do
      request.headers[#request.headers + 1] = line
      has_host = has_host or line:find "^Host:"
    end
    if not has_host then
      request.headers[#request.headers + 1] = "Host: 127.0.0.1:" .. port
    end
    return assert(http.exchange(port, request))
  end

  local function log_in(...)
    local reply = ask("POST", "/session",
      { "Authorization: Bearer " .. hub:admin_token(), ... })
    assert.equal(204, reply.status)
    return assert(reply.headers["set-cookie"])
  end

  -- The header line with the cookie of a session.
  local function cookie()
    return "Cookie: " .. log_in():match "^[^;]+"
  end

  it("gets a cookie for the token, which no script reads and no other site sends",
    function()
      local name, value = log_in():match(COOKIE)
      assert.equal("directmethods_" .. port, name)
      assert.equal(64, #value)
      assert.is_nil(value:find(hub:admin_token(), 1, true))
      local reply = ask("GET", "/calls", { ("Cookie: %s=%s"):format(name, value) })
      assert.equal(200, reply.status)
    end)

  it("gets a cookie by the port that it sees, also of a forwarded port", function()
    assert.matches("^directmethods_9000=", log_in "Host: localhost:9000")
    assert.matches("^directmethods_9000=", log_in "Host: [::1]:9000")
    assert.matches("^directmethods_=", log_in "Host: localhost")
    local value = log_in():match "=(%x+)"
    local line = ("Cookie: a=b; directmethods_9000=%s; c=d"):format(value)
    assert.equal(401, ask("GET", "/calls", { line }).status)
    assert.equal(200, ask("GET", "/calls", { line, "Host: localhost:9000" }).status)
    assert.equal(401, ask("GET", "/calls", { line, "Host: localhost:900" }).status)
    assert.equal(401, ask("GET", "/calls", { line, "Host: localhost" }).status)
  end)

  it("gets no cookie for a wrong token, or for none", function()
    for _, line in ipairs { "X-None: 1", "Authorization: Bearer ",
      "Authorization: Bearer " .. ("0"):rep(#hub:admin_token()),
      "Authorization: Basic " .. hub:admin_token() } do
      local reply = ask("POST", "/session", { line })
      assert.equal(401, reply.status, line)
      assert.is_nil(reply.headers["set-cookie"])
    end
  end)

  it("is not let in by another cookie", function()
    local name, value = log_in():match(COOKIE)
    for _, text in ipairs {
      name .. "=", name, name .. "=" .. hub:admin_token(), "=" .. value,
      name .. "=" .. value:sub(1, -2), name .. "=" .. value .. "0",
      name .. "=" .. value:upper() .. "x", "x" .. name .. "=" .. value,
      name .. "0=" .. value, "directmethods_=" .. value, ";;;", "",
      name .. "=" .. ("0"):rep(64),
    } do
      assert.equal(401, ask("GET", "/calls", { "Cookie: " .. text }).status, text)
    end
    local last = ("Cookie: a=1; b;%s=%s"):format(name, value)
    assert.equal(200, ask("GET", "/calls", { last }).status)
  end)

  it("keeps its session when a hub starts again with the same token", function()
    local token = ("t"):rep(32)
    local function value_of()
      local other <close> = assert(dm.hub { tls = false, admin_port = 0,
        admin_token = token })
      local reply = assert(http.exchange(other:ports().admin,
        admin.request(other, "POST", "/session", { host = "localhost:1" })))
      return reply.headers["set-cookie"]
    end
    local first = value_of()
    assert.is_string(first)
    assert.equal(first, value_of())
    assert.not_equal(first:match "=(%x+)", log_in():match "=(%x+)")
  end)

  it("gives the cookie back", function()
    local reply = ask("DELETE", "/session", { cookie(), "X-Directmethods: 1" })
    assert.equal(204, reply.status)
    assert.equal(("directmethods_%d=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
      :format(port), reply.headers["set-cookie"])
  end)

  it("changes nothing by the cookie without a header that no form can send", function()
    local session = cookie()
    for _, case in ipairs { { "POST", "/reset" }, { "PUT", "/devices/d" },
      { "DELETE", "/faults" }, { "POST", "/clock/advance" }, { "POST", "/session" },
      { "DELETE", "/session" } } do
      local before = hub:counters().admin_refused
      local reply = ask(case[1], case[2],
        { session, "Content-Type: text/plain" }, "{}")
      assert.equal(403, reply.status, case[2])
      assert.matches("X-Directmethods: 1", reply.body, 1, true)
      assert.equal(before + 1, hub:counters().admin_refused)
    end
    assert.equal(200, ask("PUT", "/devices/d", { session, "X-Directmethods: 1" },
      "{}").status)
    assert.equal(204, ask("DELETE", "/devices/d",
      { "Authorization: Bearer " .. hub:admin_token() }).status)
  end)

  it("does nothing by the cookie for a page at another port or site", function()
    local session = cookie()
    for _, site in ipairs { "same-site", "cross-site", "x" } do
      local line = "Sec-Fetch-Site: " .. site
      assert.equal(403, ask("GET", "/calls", { session, line }).status, site)
      assert.equal(403, ask("POST", "/reset",
        { session, line, "X-Directmethods: 1" }).status, site)
    end
    for _, site in ipairs { "same-origin", "none" } do
      assert.equal(200, ask("GET", "/calls",
        { session, "Sec-Fetch-Site: " .. site }).status, site)
    end
  end)

  it("is refused with an Origin that is another listener", function()
    local token = "Authorization: Bearer " .. hub:admin_token()
    local own = ("http://127.0.0.1:%d"):format(port)
    for _, origin in ipairs { "http://evil.example", "null", "", own .. "0",
      own:gsub("http", "https"), own .. "/", "http://127.0.0.1", "http://localhost:1",
      ("http://localhost:%d"):format(port) } do
      for _, target in ipairs { "/calls", "/healthz", "/session", "/" } do
        local reply = ask("GET", target, { token, "Origin: " .. origin })
        assert.equal(403, reply.status, origin .. target)
        assert.is_nil(reply.headers["access-control-allow-origin"])
      end
    end
    assert.equal(200, ask("GET", "/calls", { token, "Origin: " .. own }).status)
    assert.equal(200, ask("GET", "/calls", { token, "Origin: http://localhost:8",
      "Host: localhost:8" }).status)
  end)

  it("cannot ask by a name that resolves to this machine", function()
    local session = cookie()
    for _, host in ipairs { "evil.example:" .. port, "127.0.0.1.evil.example",
      "localhost.evil.example:" .. port, "[::1].evil.com", "evil.com[::1]:80",
      "127.0.0.2", "localhost:" .. port .. ".evil.com", "0.0.0.0:" .. port,
      "::1", ":" .. port } do
      for _, target in ipairs { "/", "/calls", "/session", "/healthz" } do
        local reply = ask("GET", target, { session, "Host: " .. host })
        assert.equal(403, reply.status, host .. target)
      end
    end
  end)

  it("gets no permission for another page's script", function()
    local reply = ask("OPTIONS", "/calls", { "Origin: http://evil.example",
      "Access-Control-Request-Method: POST",
      "Access-Control-Request-Headers: x-directmethods" })
    assert.equal(403, reply.status)
    for name in pairs(reply.headers) do
      assert.is_nil(name:find("access-control", 1, true))
    end
  end)

  it("takes no answer for a page, a script or a picture of another site", function()
    local token = "Authorization: Bearer " .. hub:admin_token()
    for _, case in ipairs { { "GET", "/calls", token }, { "GET", "/healthz" },
      { "GET", "/calls" }, { "GET", "/none", token }, { "POST", "/calls", token },
      { "POST", "/session", token }, { "GET", "/metrics", token },
      { "GET", "/calls", "Host: evil.example" } } do
      local reply = ask(case[1], case[2], { case[3] })
      local headers = reply.headers
      assert.same({ "nosniff", "no-referrer", "same-origin", "DENY", "no-store",
        "default-src 'none'; frame-ancestors 'none'" },
        { headers["x-content-type-options"], headers["referrer-policy"],
          headers["cross-origin-resource-policy"], headers["x-frame-options"],
          headers["cache-control"], headers["content-security-policy"] })
      assert.matches("^application/", headers["content-type"] or "application/json")
    end
  end)

  it("gets payloads as JSON that no page takes for HTML", function()
    local payload = "</script><script>alert(1)</script>"
    local session = cookie()
    local function send(method, target, value)
      return ask(method, target, { session, "X-Directmethods: 1" },
        dm.json.encode(value)).status
    end
    assert.equal(200, send("PUT", "/devices/d",
      { methods = { echo = { payload = payload } } }))
    assert.equal(200, send("POST", "/devices/d/methods/echo", { payload }))
    local reply = ask("GET", "/calls", { session })
    assert.equal("application/json; charset=utf-8", reply.headers["content-type"])
    local call = assert(dm.json.decode(reply.body))[1]
    assert.same({ { payload }, payload }, { call.payload, call.response })
  end)

  it("is told nothing of the policy by the listener of services", function()
    local reply = fixture.call(hub, { device = "nobody" })
    assert.is_nil(reply.headers["content-security-policy"])
    assert.is_nil(reply.headers["x-frame-options"])
  end)
end)

it("a session over TLS has a cookie that is for TLS alone", function()
  local hub = assert(dm.hub { admin_port = 0, admin_tls = true })
  local done = assert(dm.exec({ "curl", "-sS", "-i", "--cacert", assert(hub:ca_file()),
    "-X", "POST", "-H", "Authorization: Bearer " .. hub:admin_token(),
    ("https://localhost:%d/session"):format(hub:ports().admin) }, { timeout = 30 }))
  hub:close()
  assert.matches("^HTTP/1.1 204", done.stdout)
  assert.matches("SameSite=Strict; Secure\r\n", done.stdout, 1, true)
end)
