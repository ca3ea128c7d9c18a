-- `make layers`: files of one folder that use each other in a circle are found in
-- their object files.

local lfs = require "lfs"

local folders = require "spec.support.folder"

local CC = os.getenv("CC") or "cc"
local LUA = os.getenv("LUA") or "lua5.4"
local SCRIPT = lfs.currentdir() .. "/build-aux/circles.lua"

-- Compile the C files (name -> text) in a folder of their own, and look at them:
-- whether they pass, and what the script says.
local function look_at(sources)
  local folder <close> = folders.new()
  local names = {}
  assert(lfs.mkdir(folder.path .. "/csrc"))
  assert(lfs.mkdir(folder.path .. "/csrc/base"))
  assert(lfs.mkdir(folder.path .. "/csrc/hub"))
  for name, text in pairs(sources) do
    folder:write(name, text)
    names[#names + 1] = name
    assert(os.execute(("cd %s && %s -c -o %s %s"):format(folder.path, CC,
      name:gsub("%.c$", ".o"), name)))
  end
  table.sort(names)
  local pipe = assert(io.popen(("cd %s && %s %s . %s 2>&1"):format(folder.path,
    LUA, SCRIPT, table.concat(names, " "))))
  local text = pipe:read("a")
  return pipe:close() == true, text
end

it("files that use lower ones alone pass", function()
  local good, text = look_at {
    ["csrc/hub/a.c"] = "void b(void); void a(void) { b(); }",
    ["csrc/hub/b.c"] = "void c(void); void b(void) { c(); }",
    ["csrc/hub/c.c"] = "void c(void) {}",
  }
  assert.is_true(good, text)
end)

it("two files that call each other fail, and the symbols are named", function()
  local good, text = look_at {
    ["csrc/hub/a.c"] = "void b(void); void a(void) { b(); }",
    ["csrc/hub/b.c"] = "void a(void); void b(void) { a(); }",
  }
  assert.is_false(good)
  assert.is_truthy(text:find("csrc/hub/a.c uses b of csrc/hub/b.c", 1, true), text)
  assert.is_truthy(text:find("csrc/hub/b.c uses a of csrc/hub/a.c", 1, true), text)
end)

it("a circle over three files fails", function()
  local good, text = look_at {
    ["csrc/hub/a.c"] = "void b(void); void a(void) { b(); }",
    ["csrc/hub/b.c"] = "void c(void); void b(void) { c(); }",
    ["csrc/hub/c.c"] = "void a(void); void c(void) { a(); }",
    ["csrc/hub/d.c"] = "void a(void); void d(void) { a(); }",
  }
  assert.is_false(good)
  assert.is_nil(text:find("d.c", 1, true), text)
end)

it("a function that is handed over as a pointer counts as a call", function()
  local good = look_at {
    ["csrc/hub/a.c"] = "void b(void); void (*const a)(void) = b;",
    ["csrc/hub/b.c"] = "extern void (*const a)(void); void b(void) { a(); }",
  }
  assert.is_false(good)
end)

it("files of two folders are the includes' business", function()
  local good, text = look_at {
    ["csrc/hub/a.c"] = "void b(void); void a(void) { b(); }",
    ["csrc/base/b.c"] = "void a(void); void b(void) { a(); }",
  }
  assert.is_true(good, text)
end)

it("it fails when nothing is built", function()
  local folder <close> = folders.new()
  local pipe = assert(io.popen(("%s %s %s csrc/hub/life.c 2>&1"):format(LUA, SCRIPT,
    folder.path)))
  local text = pipe:read("a")
  assert.is_nil(pipe:close())
  assert.is_truthy(text:find("build first", 1, true), text)
end)
