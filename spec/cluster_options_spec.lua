-- The option `cluster` of dm.hub and of the command line: what is wrong is named.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local folders = require "spec.support.folder"

local STORE = "postgres:///none?host=/nowhere"

describe("the option cluster", function()
  local folder

  before_each(function() folder = folders.new() end)
  after_each(function() getmetatable(folder).__close(folder) end)

  local function wrong(cluster, message, store)
    assert.error_matches(function()
      dm.hub { tls = false, store = store or STORE, cluster = cluster }
    end, message, 1, true)
  end

  it("needs a name and a store in PostgreSQL", function()
    wrong({ url = "nats://localhost" }, "option 'cluster.name' is required")
    wrong({ url = "nats://localhost", name = "a b" },
      "option 'cluster.name' must be 1 to 64 characters of A-Z a-z 0-9 - _")
    wrong({ url = "nats://localhost", name = "lab" },
      "option 'store' must be a URL postgres://... when cluster is set", "hub.db")
  end)

  it("takes URLs of NATS servers", function()
    for _, url in ipairs { "", "localhost", "http://localhost", "nats://", "nats://a:b",
      "nats://a,", ",nats://a", "nats://a/b", "nats://a b" } do
      wrong({ name = "lab", url = url },
        "option 'cluster.url' must be \"nats://host:port\"")
    end
    wrong({ name = "lab", url = "nats://127.0.0.1,tls://127.0.0.1" },
      "option 'cluster.url' must not mix nats:// and tls://")
    wrong({ name = "lab", url = ("nats://127.0.0.1,"):rep(16) .. "nats://127.0.0.1" },
      "option 'cluster.url' must have at most 16 servers")
  end)

  it("repeats no password", function()
    local ok, why = pcall(dm.hub, { tls = false, store = STORE,
      cluster = { name = "lab", url = "nats://hub:geheim@localhost" } })
    assert.is_false(ok)
    assert.matches("'cluster.url' must not contain a user or password", why, 1, true)
    assert.is_nil(why:find("geheim", 1, true))
  end)

  it("names what goes together", function()
    local file = folder:write("file", "x")
    local plain = { name = "lab", url = "nats://localhost" }
    local tls = { name = "lab", url = "tls://localhost" }
    local function with(base, more)
      for name, value in pairs(base) do more[name] = more[name] or value end
      return more
    end
    wrong(with(plain, { user = "hub" }), "'cluster.user' needs password_file")
    wrong(with(plain, { password_file = file }), "'cluster.password_file' needs user")
    wrong(with(tls, { cert_file = file }), "'cluster.cert_file' needs key_file")
    wrong(with(tls, { key_file = file }), "'cluster.key_file' needs cert_file")
    wrong(with(plain, { user = "hub", password_file = file, credentials_file = file }),
      "'cluster.credentials_file' must not be set with user")
    wrong(with(plain, { ca_file = file }), "'cluster.ca_file' needs a URL tls://...")
    wrong(with(plain, { cert_file = file, key_file = file }),
      "'cluster.cert_file' needs a URL tls://...")
    wrong({ name = "lab", user = "hub", password_file = file }, "needs url")
    wrong(with(tls, { ca_file = folder.path .. "/none" }),
      "'cluster.ca_file' cannot be read: No such file")
    wrong(with(plain, { urls = file }), "did you mean 'cluster.url'")
  end)

  it("refuses a server beyond loopback without a log-in", function()
    for _, url in ipairs { "nats://nats.lab:4222", "tls://10.0.0.1",
      "nats://127.0.0.1,nats://10.0.0.1" } do
      wrong({ name = "lab", url = url },
        "option 'cluster.url' must name loopback addresses")
    end
    local hub, err = dm.hub { tls = false, store = STORE,
      cluster = { name = "lab", url = "nats://nats.lab", insecure = true } }
    assert.is_nil(hub)
    assert.equal("StorageFailed", err.name)
  end)

  it("has the command line's words there", function()
    local function says(words, message)
      local done = cli.run { "hub", "--plain", "--store", STORE, table.unpack(words) }
      assert.equal(2, done.status)
      assert.matches(message, done.stderr, 1, true)
    end
    says({ "--cluster", "nats://localhost" }, "--cluster-name is required")
    says({ "--cluster", "localhost", "--cluster-name", "lab" },
      '--cluster must be "nats://host:port"')
    says({ "--cluster", "nats://localhost", "--cluster-name", "lab", "--cluster-user",
      "hub" }, "--cluster-user needs --cluster-password-file")
    says({ "--cluster", "nats://nats.lab", "--cluster-name", "lab" },
      "or give --cluster-insecure")
    local done = cli.run { "hub", "--plain", "--cluster", "nats://localhost",
      "--cluster-name", "lab" }
    assert.equal(2, done.status)
    assert.matches("--store must be a URL postgres://...", done.stderr, 1, true)
  end)
end)
