--- The manual page of the command line, and what completes it in shells.

local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local command = require "directmethods.cli.command"
local dm = require "directmethods"
local folders = require "spec.support.folder"
local main = require "directmethods.cli.main"
local stores = require "spec.support.stores"
local tree = require "directmethods.cli.tree"

-- The result of make, apart from the make that runs the specs.
local function make(...)
  return assert(dm.exec({ "env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", ... },
    { timeout = 60 }))
end

-- A page as it is read, in one line and without hyphenation.
local function shown(path)
  local result = assert(dm.exec { "groff", "-man", "-ww", "-Tascii", "-P-cbou",
    "-rHY=0", "-rLL=1000n", path })
  assert.equal("", result.stderr)
  assert.equal(0, result.status)
  return (result.stdout:gsub("%s+", " "))
end

local PLACES = {
  "share/man/man1/directmethods.1",
  "share/bash-completion/completions/directmethods",
  "share/zsh/site-functions/_directmethods",
  "share/fish/vendor_completions.d/directmethods.fish",
}

describe("the manual page", function()
  it("is installed, has each command with its options, and groff likes it", function()
    local folder <close> = folders.new()
    local result = make("install", "DESTDIR=" .. folder.path, "PREFIX=/usr")
    assert.equal(0, result.status, result.stderr)
    for _, place in ipairs(PLACES) do
      assert.is_true(#stores.read(folder.path .. "/usr/" .. place) > 1000)
    end
    local text = shown(folder.path .. "/usr/" .. PLACES[1])
    for _, entry in ipairs(tree.entries(main.COMMANDS)) do
      for _, spec in ipairs(entry.specs) do
        checks.has(text, "directmethods " .. spec.name .. " ")
        local help = command.parser(spec):get_help()
        for option in help:gmatch("%f[-]%-%-%l[%l%d-]*") do checks.has(text, option) end
      end
    end
    for _, part in ipairs { "EXIT STATUS", "IOTHUB_CONNECTION_STRING", "SIGHUP" } do
      checks.has(text, part)
    end
    result = make("uninstall", "DESTDIR=" .. folder.path, "PREFIX=/usr")
    assert.equal(0, result.status, result.stderr)
    assert.equal("", assert(dm.exec { "find", folder.path, "-type", "f" }).stdout)
  end)

  it("has the date that a build wants", function()
    local folder <close> = folders.new()
    local result = make("man", "MAN=" .. folder.path .. "/page",
      "SOURCE_DATE_EPOCH=86400")
    assert.equal(0, result.status, result.stderr)
    checks.has(stores.read(folder.path .. "/page"), ".TH DIRECTMETHODS 1 1970-01-02 ")
  end)
end)

describe("directmethods completion", function()
  -- What bash offers for the last word of a command line.
  local function offered(line)
    local words = {}
    for word in (line .. "|"):gmatch("([^ |]*)[ |]") do words[#words + 1] = word end
    local script = cli.run({ "completion", "bash" }).stdout
    local result = assert(dm.exec({ "bash", "-c", script .. [[
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
      _directmethods
      printf '%s\n' "${COMPREPLY[@]}"
    ]], "bash", table.unpack(words) }))
    assert.equal("", result.stderr)
    return " " .. result.stdout:gsub("\n", " ")
  end

  it("offers commands, subcommands, options and values in bash", function()
    checks.has(offered "directmethods inv", " invoke ")
    checks.has(offered "directmethods device re", " remove ")
    checks.has(offered "directmethods hub --admin-h", " --admin-host ")
    checks.has(offered "directmethods hub --log-level d", " debug ")
    assert.equal("  ", (offered "directmethods hub --no-such"))
  end)

  it("knows zsh and fish, and no other shell", function()
    checks.has(cli.run({ "completion", "zsh" }).stdout, "#compdef directmethods")
    checks.has(cli.run({ "completion", "fish" }).stdout, "complete -c directmethods")
    local result = cli.run { "completion", "tcsh" }
    assert.equal(2, result.status)
    checks.has(result.stderr, "bash")
  end)
end)
