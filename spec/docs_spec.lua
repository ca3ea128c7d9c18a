--- The documents tell the truth: their code runs and prints what they say, what they
-- name is there, and what is public is named and annotated.

local cli = require "directmethods.cli.command"
local core = require "directmethods.core"
local differences = require "directmethods.hub.differences"
local dm = require "directmethods"
local documents = require "spec.support.documents"
local tasks = require "directmethods.task"

local README = "README.md"

local read = documents.read

-- What the tables under these headings of docs/differences.md tell.
local DIFFERENCES = {
  ["## What passes here and fails on IoT Hub"] = "passes here",
  ["## What fails here and passes on IoT Hub"] = "fails here",
  ["## What is not known"] = "unknown",
  head = "| case | here | IoT Hub | what to do | option | section |",
}

local function list(command)
  local names = {}
  local pipe <close> = assert(io.popen(command))
  for name in pipe:lines() do names[#names + 1] = name end
  assert(#names > 0, command)
  return names
end

local DOCUMENTS = documents.list()
local blocks_of = documents.blocks

-- Running --------------------------------------------------------------------

-- Run an example as it stands: a reader pastes it alone.
local function run(chunk)
  local printed = {}
  local function capture(...)
    local words = {}
    for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
    printed[#printed + 1] = table.concat(words, "\t") .. "\n"
  end
  local env = setmetatable({ print = capture }, { __index = _G })
  debug.setupvalue(chunk, 1, env)
  chunk()
  return table.concat(printed)
end

local function check_leftovers()
  local left = not dm.wait_until(function()
    return tasks.count() == 0 and core.outstanding() == 0
  end)
  tasks.cancel_all() -- the next one starts with nothing
  dm.log { level = "warn" }
  assert.is_false(left, "tasks or operations are left")
end

describe("the code in", function()
  after_each(check_leftovers)

  for _, path in ipairs(DOCUMENTS) do
    for _, block in ipairs(blocks_of(path)) do
      if block.lang == "lua" then
        local place = ("%s:%d"):format(path, block.line)
        it(place .. " runs", function()
          local chunk = assert(load(block.code, "=" .. place, "t"))
          if block.code:find("^%-%- needs ") then return end
          local printed = run(chunk)
          local said = block.follower
          if said and said.lang == "text" then assert.equal(said.code, printed) end
        end)
      end
    end
  end
end)

-- What the documents name ------------------------------------------------------

local function exists(path)
  return os.rename(path, path) ~= nil
end

-- The anchors of a document's headings, made as GitHub makes them.
local function anchors_of(path)
  local anchors = {}
  for line in io.lines(path) do
    local title = line:match("^#+ (.+)$")
    if title then
      anchors[title:lower():gsub("[^%w%s_-]", ""):gsub(" ", "-")] = true
    end
  end
  return anchors
end

-- The words of a command line, as a shell reads them.
local function words_of(line)
  line = line:gsub(" [|>#&] ?.*$", ""):gsub(" &&.*$", "")
  local result = assert(dm.exec { "sh", "-c",
    'directmethods() { printf "%s\\n" "$@"; }; ' .. line })
  local words = {}
  for word in result.stdout:gmatch("[^\n]+") do words[#words + 1] = word end
  return words
end

-- What is wrong with the words of a command; nil: nothing.
local function wrong_words(words)
  local name, first = words[1], 2
  if name == "explain" then return nil end
  local ok, module = pcall(require, "directmethods.cli." .. name)
  if not ok then return "there is no such command" end
  local spec = module.spec
  for _, each in ipairs(module.specs or {}) do
    if each.name == name .. " " .. words[2] then spec, first = each, 3 end
  end
  local own = {}
  for i = first, #words do
    if words[i] == "--" then break end
    own[#own + 1] = words[i]
  end
  local parsed, why = cli.parser(spec):pparse(own)
  return not parsed and why or nil
end

-- The lines of shell in the documents: in blocks, and whole commands in the text.
local function lines_of_documents()
  local lines = {}
  for _, path in ipairs(DOCUMENTS) do
    for _, block in ipairs(blocks_of(path)) do
      if block.lang == "sh" then
        table.move(block.lines, 1, #block.lines, #lines + 1, lines)
      end
    end
    for _, command in ipairs(documents.commands(path)) do
      local arguments = command:match "^directmethods %l+ (.+)$"
      local is_pattern = not arguments or arguments:find "%f[%w]%u%u"
        or arguments:find "%.%.%."
      if not is_pattern then lines[#lines + 1] = command end
    end
  end
  return lines
end

-- The examples in the help of all commands.
local function lines_of_help()
  local lines = {}
  for _, entry in ipairs(require "directmethods.cli.main".COMMANDS) do
    local module = require("directmethods.cli." .. entry[1])
    for _, each in ipairs(module.specs or { module.spec }) do
      table.move(each.examples, 1, #each.examples, #lines + 1, lines)
    end
  end
  return lines
end

describe("the documents", function()
  it("link to files that are there", function()
    for _, path in ipairs(DOCUMENTS) do
      local folder = path:match("^.*/") or ""
      for target in read(path):gmatch("%]%(([^)#:]+)%)") do
        assert(exists(folder .. target), ("%s links to %s"):format(path, target))
      end
    end
  end)

  it("link to headings that are there", function()
    for _, path in ipairs(DOCUMENTS) do
      local folder = path:match("^.*/") or ""
      for target, anchor in read(path):gmatch("%]%(([^)#:]*)#([^)]+)%)") do
        local file = target == "" and path or folder .. target
        assert(anchors_of(file)[anchor],
          ("%s links to %s#%s"):format(path, target, anchor))
      end
    end
  end)

  it("name targets that make has", function()
    local makefile = "\n" .. read "Makefile"
    for _, path in ipairs(DOCUMENTS) do
      for _, block in ipairs(blocks_of(path)) do
        for line in block.code:gmatch("[^\n]+") do
          local target = line:gsub(" *#.*", ""):gsub(" [%u_]+=%S+", "")
            :gsub("^sudo ", ""):match("^make (%S+)$")
          if target and block.lang == "sh" then
            assert(makefile:find("\n" .. target .. ":", 1, true),
              ("%s: make %s"):format(path, target))
          end
        end
      end
    end
  end)

  it("name the command line's options, and all of them", function()
    local known = { ["--limits"] = true, ["--jobs"] = true, ["--version"] = true }
    for _, entry in ipairs(require "directmethods.cli.main".COMMANDS) do
      local module = require("directmethods.cli." .. entry[1])
      for _, each in ipairs(module.specs or { module.spec }) do
        local help = cli.parser(each):get_help()
        for option in help:gmatch("%f[-]%-%-%l[%l%d-]*") do known[option] = true end
      end
    end
    known["--list"] = true -- of explain, which is there without argparse
    assert(next(known))
    local text = read "docs/cli.md"
    known["--version"] = nil -- of the command line itself
    for option in pairs(known) do
      assert(text:find(option, 1, true), option .. " is not in docs/cli.md")
    end
    for option in text:gmatch("%f[-]%-%-%l[%l%d-]*") do
      assert(known[option], option .. " is no option")
    end
  end)

  it("have command lines that the command line takes, and so has its help", function()
    local lines, help, count = lines_of_documents(), lines_of_help(), 0
    table.move(help, 1, #help, #lines + 1, lines)
    for _, line in ipairs(lines) do
      if line:find("^directmethods ") then
        count = count + 1
        local problem = wrong_words(words_of(line))
        assert(not problem, ("%s: %s"):format(line, problem))
      end
    end
    assert(count > 80)
  end)

  it("say of no id that it holds without a spec of its name", function()
    local named = table.concat(list
      [[grep -rhoE '"[A-W][0-9]{2}\b' spec --include=*_spec.lua]])
    local count = 0
    for id in read("docs/conformance.md"):gmatch("\n| (%u%d%d) |") do
      count = count + 1
      assert(named:find('"' .. id, 1, true), id .. " has no spec")
    end
    assert(count > 0)
  end)

  it("have the evidence of each id of the checklist", function()
    local function ids_of(path)
      local ids = {}
      for id in read(path):gmatch("\n| ([A-W]%d%d) |") do ids[#ids + 1] = id end
      table.sort(ids)
      return ids
    end
    assert.same(ids_of "docs/conformance.md", ids_of "docs/protocol.md")
  end)

  it("have each section of the protocol that the code cites", function()
    local sections, cited = {}, 0
    for number in read("docs/protocol.md"):gmatch("\n##+ (%d[%d.]*%d?)") do
      sections[number:gsub("%.$", "")] = true
    end
    for _, line in ipairs(list [[grep -rn --include=*.[ch] --include=*.lua \
      'protocol\.md' csrc lua spec]]) do
      for number in line:gmatch("protocol%.md[%a ]- (%d[%d.]*)") do
        number = number:gsub("%.$", "")
        assert(sections[number], ("no section %s: %s"):format(number, line))
        cited = cited + 1
      end
    end
    assert(cited > 0)
  end)

  it("draw the stair of csrc/hub: its files include those of lower steps", function()
    local stair = read("docs/architecture.md"):match("a stair.-```text\n(.-)```")
    local steps, number = {}, 0
    for line in stair:gmatch("[^\n]+") do
      number = number + 1
      for name in line:match("^(.-)   "):gmatch("[%w_]+") do steps[name] = number end
    end
    for _, path in ipairs(list "ls csrc/hub/*.c") do
      local name = path:match("([%w_]+)%.c$")
      assert(steps[name], path .. " is on no step")
    end
    for _, path in ipairs(list "ls csrc/hub/*.[ch]") do
      local step = steps[path:match("([%w_]+)%.[ch]$")]
      for used in read(path):gmatch('#include "hub/([%w_]+)%.h"') do
        assert(not step or not steps[used] or steps[used] > step
          or path:find("/" .. used .. ".", 1, true),
          ("%s includes hub/%s.h, which is on no lower step"):format(path, used))
      end
    end
  end)

  it("have the rows of hub:differences, and no others", function()
    local function cell(text) return text and (" %s "):format(text) or " " end
    local rows, named = {}, {}
    for i, row in ipairs(differences.ROWS) do
      local option = row.option and ("`%s`"):format(row.option)
      rows[i] = row.kind .. ("|%s|%s|%s|%s|%s|%s|"):format(cell(row.case),
        cell(row.here), cell(row.azure), cell(row.advice), cell(option),
        cell(row.section))
      if row.option then
        named[row.option] = true
        assert(differences.CAUSES[row.option], row.option)
      end
    end
    for option in pairs(differences.CAUSES) do assert(named[option], option) end
    local found, kind = {}, nil
    for line in io.lines "docs/differences.md" do
      if line:find "^#" then kind = DIFFERENCES[line] end
      if kind and line:find "^| " and line ~= DIFFERENCES.head then
        found[#found + 1] = kind .. line
      end
    end
    assert.same(rows, found)
  end)

  it("cite sections of the protocol that are there in hub:differences", function()
    local sections = {}
    for number in read("docs/protocol.md"):gmatch("\n##+ (%d[%d.]*)") do
      sections[number:gsub("%.$", "")] = true
    end
    for _, row in ipairs(differences.ROWS) do
      local number = row.section and row.section:match("^[%d.]+")
      assert(not number or sections[number], row.case)
    end
  end)

  it("keep the README under 200 lines", function()
    local _, lines = read(README):gsub("\n", "")
    assert(lines < 200)
  end)

  it("have the limits of the C header with its defaults", function()
    local text = read "docs/hub.md"
    local seconds
    for line in io.lines "csrc/hub/limits.h" do
      seconds = seconds or line:find("DM_HUB_TIME_MAP", 1, true) ~= nil
      local name, value = line:match("^ +X%(([%l_]+), (%d+)%)")
      if name then
        local shown = seconds and ("%d s"):format(tonumber(value) // 1000) or value
        local row = ("| `%s` | %s |"):format(name, shown)
        assert(text:find(row, 1, true), row)
      end
    end
    assert.is_true(seconds)
  end)

  it("have the counters of the C header", function()
    local text = read "docs/hub.md"
    for name in read("csrc/hub/counters.h"):gmatch("\n +X%(([%l_]+)%)") do
      assert(text:find(("| `%s` |"):format(name), 1, true), name)
    end
  end)
end)

-- What is public ------------------------------------------------------------------

-- The lines of comment above a function's definition.
local function annotation_of(fn)
  local info = debug.getinfo(fn, "S")
  assert(info.source:sub(1, 1) == "@", "not written in Lua")
  local lines = {}
  for line in io.lines(info.source:sub(2)) do lines[#lines + 1] = line end
  local first = info.linedefined
  while first > 1 and lines[first - 1]:find("^%-%-") do first = first - 1 end
  return table.concat(lines, "\n", first, info.linedefined - 1)
end

local function parameters_of(fn)
  local info = debug.getinfo(fn, "u")
  local names = {}
  for i = 1, info.nparams do
    local name = debug.getlocal(fn, i)
    if name ~= "self" and name ~= "_" then names[#names + 1] = name end
  end
  if info.isvararg then names[#names + 1] = "..." end
  return names
end

local function check_annotation(name, fn)
  local text = annotation_of(fn)
  assert(text:find("^%-%-%- %u") or text:find("\n%-%-%- %u"),
    name .. " is not described")
  for _, parameter in ipairs(parameters_of(fn)) do
    local tag = "---@param " .. parameter
    local _, ends = text:find(tag, 1, true)
    assert(ends and text:find("^[ ?]", ends + 1),
      ("%s: %s is missing"):format(name, tag))
  end
end

local function functions_of(holder, prefix, into)
  for key, value in pairs(holder) do
    if type(key) == "string" and not key:find("^_") and type(value) == "function" then
      into[prefix .. key] = value
    end
  end
  return into
end

-- The fields that the annotations give to a class, in whatever file.
local SOURCES = list "find lua -name '*.lua'"

local function fields_of(class)
  for _, path in ipairs(SOURCES) do
    local text = read(path)
    local _, ends = text:find("\n---@class " .. class .. "%f[^%w_.]")
    if ends then
      local fields = {}
      for line in text:sub(ends + 2):gmatch("[^\n]*") do
        if not line:find("^%-%-") then break end
        fields[#fields + 1] = line:match("^%-%-%-@field ([%w_]+)")
      end
      return fields
    end
  end
  error("no class " .. class)
end

-- What the annotations say of a field.
local function annotation_of_field(path, name)
  local text = read(path) .. "\n"
  local _, ends = text:find("\n%-%-%-@field " .. name .. "%f[^%w_]")
  assert(ends, name)
  return text:sub(ends, text:find("\n---@", ends, true))
end

-- Comments cite what a reader of the repository has.
describe("a file that the sources cite", function()
  it("is in the repository", function()
    local sources = list("find csrc lua spec build-aux -name node_modules -prune -o "
      .. "-name '*.[ch]' -print -o -name '*.lua' -print -o -name '*.js' -print")
    for _, path in ipairs(sources) do
      for cited in read(path):gmatch("%f[%w./_-]([%w./_-]+%.md)%f[^%w]") do
        local beside = path:match("^.*/") .. cited
        assert(exists(cited) or cited == "README.md" and exists(beside),
          ("%s cites %s"):format(path, cited))
      end
    end
  end)
end)

describe("a default", function()
  local device, SIMPLE = nil, {
    "api_version", "keepalive", "token_ttl", "open_timeout", "max_concurrent",
    "max_queue", "port", "transport", "engine",
  }
  setup(function()
    device = dm.device { host_name = "h", device_id = "d", key = "a2V5" }
  end)
  teardown(function() device:close() end)

  -- A column of an option's row.
  local function documented(path, option, column)
    local row = read(path):match("\n| `" .. option .. "` |([^\n]*)")
    assert(row, option)
    return (row:match(("[^|]*|"):rep(column - 1) .. "([^|]*)|"))
  end

  it("of a device is what docs and annotations say", function()
    local config = device.config
    for _, name in ipairs(SIMPLE) do
      local value = tostring(config[name])
      assert.is_truthy(documented("docs/device.md", name, 2):find(value, 1, true), name)
      assert.matches("default[^\n]*%f[%w]" .. value:gsub("%-", "%%-"),
        annotation_of_field("lua/directmethods/device/config.lua", name))
    end
    assert.same({ 300, false }, { config.token_renew, config.clean_session })
    assert.same({ min = 1, max = 60, jitter = 0.5 }, config.reconnect)
    assert.is_truthy(documented("docs/device.md", "reconnect", 2):find(
      "{ min = 1, max = 60, jitter = 0.5 }", 1, true))
    assert.is_truthy(documented("docs/device.md", "token_renew", 2):find(
      "a fifth of `token_ttl`, at most 300", 1, true))
  end)

  it("of exec bounds its output as documented", function()
    local most = documented("docs/tasks.md", "max_output", 1):match("%d+")
    local function write(bytes)
      return dm.exec { "head", "-c", ("%d"):format(bytes), "/dev/zero" }
    end
    assert(write(most))
    assert.equal("LimitExceeded", select(2, write(most + 1)).name)
  end)
end)

local function make_scene()
  local hub = assert(dm.hub {})
  local device = hub:device("dev1")
  assert(device:connect())
  return { hub = hub, device = device, service = hub:service() }
end

local function close_scene(scene)
  scene.service:close()
  scene.device:close()
  assert(scene.device:closed(5))
  scene.hub:close()
  assert(scene.hub:closed(5))
  check_leftovers()
end

describe("what is public", function()
  local scene, kit, request
  local public = {} -- name -> function

  setup(function()
    scene = make_scene()
    scene.device:method("hold", function(r)
      request = r
      return 200
    end)
    assert(scene.service:invoke("dev1", "hold"))
    kit = require "directmethods.testing".new { tls = false }
    for _, role in ipairs { "device", "reject", "service", "hub", "histogram",
      "fleet", "record" } do
      assert(dm[role], role) -- loads it
    end
    functions_of(dm, "dm.", public)
    functions_of(dm.json, "dm.json.", public)
    functions_of(dm.loop, "dm.loop.", public)
    for name, object in pairs {
      device = scene.device, service = scene.service, hub = scene.hub,
      task = dm.spawn(function() end), histogram = dm.histogram(),
      fleet = assert(dm.fleet { hub = scene.hub, count = 1 }),
      t = kit, recorder = assert(dm.record "/dev/null"),
    } do
      functions_of(getmetatable(object).__index, name .. ":", public)
    end
    for _, name in ipairs { "defer", "reply" } do
      public["request:" .. name] = request[name]
    end
  end)

  teardown(function()
    kit:close()
    close_scene(scene)
  end)

  it("is all that there is", function()
    for _, name in ipairs { "dm.run", "dm.hub", "dm.json.raw", "dm.loop.fd",
      "device:connect", "service:invoke", "hub:add_device", "task:await",
      "request:reply", "histogram:record" } do
      assert(public[name], name)
    end
  end)

  it("has an annotation", function()
    for name, fn in pairs(public) do check_annotation(name, fn) end
  end)

  it("is in the documents", function()
    local texts = {}
    for i, path in ipairs(DOCUMENTS) do texts[i] = read(path) end
    local all = table.concat(texts, "\n")
    for name in pairs(public) do
      local called = all:find("`" .. name .. "(", 1, true)
        or all:find("`" .. name .. " {", 1, true)
      assert(called, name .. " is in no document")
    end
  end)

  local CLASSES = {
    { "directmethods.DeviceOptions", "docs/device.md" },
    { "directmethods.DeviceStats", "docs/device.md" },
    { "directmethods.Request", "docs/device.md" },
    { "directmethods.FleetOptions", "docs/fleet.md" },
    { "directmethods.FleetStats", "docs/fleet.md" },
    { "directmethods.ServiceOptions", "docs/service.md" },
    { "directmethods.InvokeOptions", "docs/service.md" },
    { "directmethods.Reply", "docs/service.md" },
    { "directmethods.Error", "docs/service.md" },
    { "directmethods.HubOptions", "docs/hub.md" },
    { "directmethods.HubLimits", "docs/hub.md" },
    { "directmethods.HubCall", "docs/hub.md" },
    { "directmethods.CallFilter", "docs/hub.md" },
    { "directmethods.HubMessage", "docs/hub.md" },
    { "directmethods.HubMetrics", "docs/hub.md" },
    { "directmethods.HubLatency", "docs/hub.md" },
    { "directmethods.FaultRule", "docs/hub.md" },
    { "directmethods.CannedAnswer", "docs/hub.md" },
    { "directmethods.HubDevice", "docs/hub.md" },
    { "directmethods.NewIdentity", "docs/hub.md" },
    { "directmethods.Identity", "docs/hub.md" },
    { "directmethods.HubJobOptions", "docs/jobs.md" },
    { "directmethods.JobOptions", "docs/jobs.md" },
    { "directmethods.JobStatus", "docs/jobs.md" },
    { "directmethods.JobResult", "docs/jobs.md" },
    { "directmethods.ExecResult", "docs/tasks.md" },
    { "directmethods.LogOptions", "docs/tasks.md" },
  }
  for _, entry in ipairs(CLASSES) do
    local class, path = table.unpack(entry)
    it(("names every field of %s in %s"):format(class, path), function()
      local text, fields = read(path), fields_of(class)
      assert(#fields > 0)
      for _, field in ipairs(fields) do
        assert(text:find("`" .. field .. "%f[^%w_]"), field .. " is not in " .. path)
      end
    end)
  end

  -- What each function accepts is what its class says.
  local OPTIONS = {
    { "DeviceOptions", function(o) dm.device(o) end },
    { "FleetOptions", function(o)
      if not o.hub and not o.connection_strings then
        o.hub, o.count = scene.hub, o.count or 1
      end
      dm.fleet(o)
    end },
    { "ServiceOptions", function(o) dm.service(o) end },
    { "InvokeOptions", function(o) scene.service:invoke("dev1", "m", nil, o) end },
    { "HubOptions", function(o) dm.hub(o) end },
    { "HubLimits", function(o) dm.hub { limits = o } end },
    { "HubJobOptions", function(o) dm.hub { jobs = o } end },
    { "NewIdentity", function(o) scene.hub:add_device("dev9", o) end },
    { "LogOptions", function(o) dm.log(o) end },
  }
  for _, entry in ipairs(OPTIONS) do
    local class, accept = table.unpack(entry)
    it("takes every field of " .. class, function()
      for _, field in ipairs(fields_of("directmethods." .. class)) do
        local ok, message = pcall(accept, { [field] = coroutine.create(print) })
        assert.is_false(ok)
        assert.matches("option '[%w_.]*" .. field .. "' must be of type", message)
      end
    end)
  end
end)
