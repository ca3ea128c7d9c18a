--- The inspector's files, as the admin listener serves them to everybody.

local admin = require "spec.support.admin"
local fixture = require "spec.support.fixture"
local folders = require "spec.support.folder"
local http = require "spec.support.http"

local SOURCE = "lua/directmethods/hub/admin/inspector.lua"

local function list(pattern)
  local names = {}
  local pipe <close> = assert(io.popen(pattern))
  for name in pipe:lines() do names[#names + 1] = name end
  return names
end

describe("the inspector's files", function()
  local hub

  before_each(function() hub = fixture.hub { admin_port = 0 } end)

  after_each(function() fixture.finish(hub) end)

  -- Without a token.
  local function get(target, header)
    local request = admin.request(hub, "GET", target, { token = false })
    request.headers[#request.headers + 1] = header
    return assert(http.exchange(hub:ports().admin, request))
  end

  it("are served without a token, each with its type", function()
    local types = { html = "text/html", css = "text/css", js = "text/javascript",
      svg = "image/svg+xml" }
    local names = list "cd lua/directmethods/inspector && ls *.html *.css *.js *.svg"
    assert.is_true(#names > 10)
    for _, name in ipairs(names) do
      local reply = get("/inspector/" .. name)
      assert.equal(200, reply.status, name)
      assert.equal(types[name:match "%w+$"] .. "; charset=utf-8",
        reply.headers["content-type"])
      assert.equal("nosniff", reply.headers["x-content-type-options"])
      local policy = reply.headers["content-security-policy"]
      assert.matches("^default%-src 'none'; script%-src 'self'; style%-src 'self'; ",
        policy)
      assert.matches("frame-ancestors 'none'", policy, 1, true)
      assert.is_true(#reply.body > 100, name)
    end
    assert.equal(200, get("/").status)
    assert.equal("text/html; charset=utf-8", get("/").headers["content-type"])
  end)

  it("are sent again only when they have changed", function()
    local first = get "/inspector/app.js"
    local etag = assert(first.headers.etag)
    local again = get("/inspector/app.js", "If-None-Match: " .. etag)
    assert.same({ 304, "" }, { again.status, again.body })
    again = get("/inspector/app.js", 'If-None-Match: "other"')
    assert.same({ 200, first.body }, { again.status, again.body })
    assert.is_not.equal(etag, get("/inspector/store.js").headers.etag)
  end)

  it("are those of the list alone", function()
    for _, name in ipairs { "none.js", "package.json", "node_modules",
      "..%2f..%2finit.lua", "%2e%2e", "npm%2fpreact.js", "app.js%00" } do
      local status = get("/inspector/" .. name).status
      assert.is_true(status == 404 or status == 400, name)
    end
    assert.equal(404, get("/inspector/../hub/init.lua").status)
    assert.equal(404, get("/inspector/").status)
    assert.equal(401, get("/inspector").status)
    assert.equal(401, get("/calls").status)
    assert.equal(405, admin.ask(hub, "POST", "/inspector/app.js", { body = "{}" }))
  end)

  it("name each other and files that are there", function()
    local known = { ["preact.js"] = true, ["uplot.js"] = true, ["uplot.css"] = true }
    for _, name in ipairs(list "ls lua/directmethods/inspector") do
      known[name] = true
    end
    for _, name in ipairs(list "cd lua/directmethods/inspector && ls *.html *.js") do
      for file in get("/inspector/" .. name).body:gmatch '["\']/inspector/([%w_.-]+)' do
        assert.is_true(known[file], ("%s names %s"):format(name, file))
      end
    end
  end)

  -- What the page at "/" is, with the files in this folder.
  local function page_in(folder)
    local file <close> = assert(io.open(SOURCE))
    local chunk = "@" .. folder .. "/hub/admin/inspector.lua"
    local routes = assert(load(file:read "a", chunk))()
    local text
    local plane = { answer = function(_, _, _, _, body) text = body end }
    routes[1].GET[1]({ state = { plane = plane } }, { fields = "", ask_id = 1 })
    return text
  end

  it("say what to do where the files of other projects are missing", function()
    local folder <close> = folders.new()
    local path = folder.path
    local modules = path .. "/inspector/node_modules"
    assert(os.execute(("mkdir -p %s/htm/preact %s/uplot/dist %s/hub/admin"):format(
      modules, modules, path)))
    assert(os.execute("cp lua/directmethods/inspector/*.html " .. path .. "/inspector"))
    assert.is_truthy(page_in(path):find("make dev-deps", 1, true))
    for _, name in ipairs { "htm/preact/standalone.module.js",
      "uplot/dist/uPlot.iife.min.js", "uplot/dist/uPlot.min.css" } do
      assert.is_truthy(page_in(path):find("make dev-deps", 1, true))
      local file <close> = assert(io.open(("%s/%s"):format(modules, name), "w"))
      file:write "x"
    end
    assert.is_truthy(page_in(path):find("/inspector/app.js", 1, true))
  end)
end)
