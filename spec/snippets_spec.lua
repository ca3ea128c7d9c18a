--- Every command and program of every document runs, or it is listed with a reason in
-- spec/support/snippets.lua. What a document says that it prints is printed, but for
-- numbers.

local dm = require "directmethods"
local documents = require "spec.support.documents"
local folders = require "spec.support.folder"
local installed = require "spec.support.installed"
local snippets = require "spec.support.snippets"
local stage = require "spec.interop.stage"

local ROOT = installed.root()
-- The words before a block's: it has a minute, and changes nothing but in temporary
-- folders, whatever a page says.
local CONFINED = { "timeout", "60", "sh", "-c", [[
  # the root of a chroot is no mount point, so its propagation cannot be changed
  mountpoint -q / || unchanged="--propagation unchanged"
  exec unshare --mount $unchanged sh -c '
    tmp=${TMPDIR:-/tmp} root=$(mktemp -d)
    mount --rbind / "$root" && mount -o remount,bind,ro "$root" &&
      mount --bind "$tmp" "$root$tmp" && chroot "$root" "$@"
    status=$?
    umount --recursive --lazy "$root" && rmdir "$root"
    exit $status' sh "$@"]], "sh" }

-- Files that more than one document uses: where they are described.
local SHARED = {
  ["app.js"] = "docs/node.md", ["fan.lua"] = "docs/cli.md",
  ["fan_spec.lua"] = "docs/testing.md", ["invoke.py"] = "docs/python.md",
}

-- The name under which a reader saves a block: the text before it, or its first line.
local function name_of(block)
  return block.before:match "`([%w_.-]+%.%w+)`[^`]*:$"
    or block.lines[1]:match "^%-%- needs %w+: .- ([%w_]+%.lua)$"
    or block.lines[1]:match "^%-%- ([%w_]+%.lua)$"
    or block.lines[1]:match "^# ([%w_]+%.py)$"
    or block.lines[1]:match "^/%* ([%w_]+%.c) "
end

-- Write the files that a document tells to save.
local function save_files(path, folder, wanted)
  for _, block in ipairs(documents.blocks(path)) do
    local name = block.lang ~= "sh" and block.lang ~= "text" and name_of(block)
    if name and (not wanted or wanted == name) then folder:write(name, block.code) end
  end
end

local function prepare(path, folder)
  for name, owner in pairs(SHARED) do save_files(owner, folder, name) end
  for name, content in pairs(snippets.FILES) do folder:write(name, content) end
  save_files(path, folder)
end

-- The words that run a script, with a hub around it unless it starts its own.
local function words_for(bin, folder, code)
  local script = snippets.script(code)
  if not snippets.has_hub(code) then
    folder:write(".script", 'cp "$DIRECTMETHODS_READY_FILE" hub.json\n' .. script)
    folder:write(".config", dm.json.encode(snippets.config(code)))
    script = "directmethods hub --quiet --mqtt-port 0 --https-port 0 --config .config "
      .. "-- sh .script"
  end
  local words = installed.sh(bin.path, folder.path, script, {
    NODE_PATH = ROOT .. "/spec/interop/node_modules", ROOT = ROOT, HOME = folder.path,
  })
  return table.move(words, 1, #words, #CONFINED + 1, { table.unpack(CONFINED) })
end

-- What was printed, without what differs from run to run.
local function constant(text)
  return (text:gsub("%d+%.?%d*", "N"))
end

-- A line of JSON with its members in order; nil: the line is none.
local function json_of(line)
  local value = line:find "^{" and dm.json.decode(line)
  if not value then return nil end
  local function text_of(any)
    if type(any) ~= "table" then return dm.json.encode(any) end
    local parts = {}
    for key, member in pairs(any) do
      parts[#parts + 1] = key .. ":" .. text_of(member)
    end
    table.sort(parts)
    return "{" .. table.concat(parts, ",") .. "}"
  end
  return constant(text_of(value))
end

-- What was printed must have each line of the document; "..." stands for anything.
local function check_printed(said, printed)
  local documents_printed = {}
  for line in printed:gmatch "[^\n]+" do
    documents_printed[json_of(line) or ""] = true
  end
  for line in said:gmatch "[^\n]+" do
    local document = json_of(line)
    if document then
      assert(documents_printed[document], ("%s is not in %s"):format(line, printed))
    else
      for part in (constant(line) .. "..."):gmatch "(.-)%.%.%." do
        assert(constant(printed):find(part, 1, true),
          ("%q is not in %s"):format(part, printed))
      end
    end
  end
end

describe("the commands in", function()
  local bin, folder
  setup(function()
    bin = folders.new()
    installed.into(bin)
  end)
  teardown(function() bin:__close() end)
  before_each(function() folder = folders.new() end)
  after_each(function() folder:__close() end)

  for _, path in ipairs(documents.list()) do
    for _, block in ipairs(documents.blocks(path)) do
      local place = ("%s:%d"):format(path, block.line)
      local _, count = snippets.script(block.code)
      if block.lang == "sh" and count > 0 then
        it(place .. " run", function()
          prepare(path, folder)
          local result = assert(stage.in_namespace(words_for(bin, folder, block.code)))
          assert.equal(0, result.status, result.stdout .. result.stderr)
          local said = block.follower
          if said and said.lang == "text" then
            check_printed(said.code, result.stdout .. result.stderr)
          end
        end)
      end
      local needs = block.lang == "lua"
        and block.lines[1]:match "^%-%- needs %w+: (.*%.lua)$"
      if needs then
        it(("%s passes by %s"):format(place, needs), function()
          prepare(path, folder)
          local result = assert(dm.exec(installed.sh(bin.path, folder.path,
            (needs:gsub("lua5%.4", os.getenv "LUA" or "lua5.4")))))
          assert.equal(0, result.status, result.stdout .. result.stderr)
        end)
      end
    end
  end
end)

describe("the commands in tables of docs/faults.md", function()
  it("run, and can be undone", function()
    local bin <close> = folders.new()
    local folder <close> = folders.new()
    installed.into(bin)
    local script, count = {}, 0
    for _, command in ipairs(documents.commands("docs/faults.md", true)) do
      if command:find "^directmethods fault add" or command:find "advance" then
        script[#script + 1] = command
        count = count + 1
      end
    end
    assert.is_true(count > 20)
    script[#script + 1] = "directmethods fault clear"
    local result = assert(stage.in_namespace(words_for(bin, folder,
      table.concat(script, "\n") .. "\n")))
    assert.equal(0, result.status, result.stdout .. result.stderr)
  end)
end)

describe("the list of commands that do not run", function()
  it("has a line for each, in some document", function()
    local all = table.move(snippets.BLOCKS_NOT_RUN, 1, #snippets.BLOCKS_NOT_RUN,
      #snippets.NOT_RUN + 1, { table.unpack(snippets.NOT_RUN) })
    for _, each in ipairs(all) do
      local found = false
      for _, path in ipairs(documents.list()) do
        for _, block in ipairs(documents.blocks(path)) do
          for _, line in ipairs(block.lines) do
            found = found or block.lang == "sh" and line:find(each[1]) ~= nil
          end
        end
      end
      assert(found, each[1])
    end
  end)
end)

describe("a program in the documents", function()
  local CHECKED = { sh = true, text = true, lua = true, json = true }

  it("is saved under a name that a command of its page uses", function()
    for _, path in ipairs(documents.list()) do
      local commands = {}
      for _, block in ipairs(documents.blocks(path)) do
        if block.lang == "sh" then commands[#commands + 1] = block.code end
      end
      local all = table.concat(commands)
      for _, block in ipairs(documents.blocks(path)) do
        if not CHECKED[block.lang] then
          local name = assert(name_of(block), ("%s:%d"):format(path, block.line))
          assert(all:find(name, 1, true), ("%s: %s"):format(path, name))
        end
      end
    end
  end)

  it("in JSON can be read", function()
    for _, path in ipairs(documents.list()) do
      for _, block in ipairs(documents.blocks(path)) do
        if block.lang == "json" then assert(dm.json.decode(block.code)) end
      end
    end
  end)

  it("in Lua runs, unless it needs Azure", function()
    for _, path in ipairs(documents.list()) do
      for _, block in ipairs(documents.blocks(path)) do
        local needs = block.lang == "lua" and block.lines[1]:match "^%-%- needs (%w+)"
        assert(not needs or needs == "Azure" or needs == "curl" or name_of(block),
          ("%s:%d"):format(path, block.line))
      end
    end
  end)
end)
