--- A release: one version everywhere, a dated changelog, a tag and an archive.

local dm = require "directmethods"
local folders = require "spec.support.folder"

local FILES = { "build-aux", "csrc/base", "rockspec", "README.md", "CHANGELOG.md",
  "lua/directmethods/hub/admin/openapi.json", "debian",
  "lua/directmethods/device/token.lua" }
local LUA = os.getenv("LUA") or arg[-1]

local function sh(script, ...)
  return assert(dm.exec({ "sh", "-c", script, "sh", ... }, { timeout = 60 }))
end

-- A copy of what a release changes, in a repository of its own.
local function repository()
  local folder = folders.new()
  local made = sh([[
    to=$1; shift
    tar cf - "$@" | tar xf - -C "$to" && cd "$to" && echo /build/ >.gitignore &&
    printf '# Changelog\n\n## Unreleased\n\n- fix: one thing\n' >CHANGELOG.md &&
    git init -q . && git config user.name a && git config user.email a@b.test &&
    git add -A && git commit -q -m all]], folder.path, table.unpack(FILES))
  assert.equal(0, made.status, made.stderr)
  return folder
end

local function run(folder, script)
  local variables = ("LUA=%s CHECK=true PACK='sh build-aux/dist.sh build'"):format(LUA)
  return sh(("cd %s && export %s && %s"):format(folder.path, variables, script))
end

it("sets the version everywhere, dates the changelog, tags and packs", function()
  local folder <close> = repository()
  local made = run(folder, "build-aux/release.sh 7.8.9")
  assert.equal(0, made.status, made.stderr)
  local found = run(folder, [[
    $LUA build-aux/version.lua --check && grep DM_VERSION csrc/base/version.h &&
    ls rockspec && cat debian/changelog CHANGELOG.md && git status --porcelain &&
    git describe --exact-match && tar tzf build/directmethods-7.8.9.tar.gz]])
  assert.equal(0, found.status, found.stderr)
  -- agents take a clock before this day for one that was never set
  local built = run(folder, "grep -c '^M.BUILT = '$(date -u -d 0:00 +%s)'$' "
    .. "lua/directmethods/device/token.lua").stdout
  assert.equal("1\n", built)
  for _, part in ipairs {
    '#define DM_VERSION "7.8.9"\n',
    "\ndirectmethods-7.8.9-1.rockspec\ndirectmethods-cluster-7.8.9-1.rockspec\n",
    "\ndirectmethods-hub-7.8.9-1.rockspec\n",
    "\ndirectmethods (7.8.9) ", "\n -- the directmethods authors <",
    "## Unreleased\n\n## 7.8.9, 20", "\n\n- fix: one thing\nv7.8.9\n",
    "directmethods-7.8.9/rockspec/directmethods-7.8.9-1.rockspec\n",
  } do
    assert.is_truthy(found.stdout:find(part, 1, true), part .. "\n" .. found.stdout)
  end
end)

for why, case in pairs {
  ["no version"] = { "true", "usage", "1.2" },
  ["what is not committed"] = { "echo >>README.md", "commit or remove" },
  ["a tag that is there"] = { "git tag v7.8.9", "there is a tag v7.8.9" },
  ["a changelog without news"] = {
    "echo '## Unreleased' >CHANGELOG.md && git commit -qam x",
    "nothing under '## Unreleased'" },
} do
  it("refuses " .. why .. ", and changes nothing", function()
    local folder <close> = repository()
    local made = run(folder, ("%s && build-aux/release.sh %s"):format(case[1],
      case[3] or "7.8.9"))
    assert.equal(1, made.status)
    assert.is_truthy(made.stderr:find(case[2], 1, true), made.stderr)
    assert.equal(0, run(folder, "! grep -q 7.8.9 csrc/base/version.h").status)
  end)
end

it("makes no release of what fails its checks", function()
  local folder <close> = repository()
  local made = run(folder, "CHECK=false build-aux/release.sh 7.8.9")
  assert.equal(1, made.status)
  assert.equal(1, run(folder, "git rev-parse -q --verify refs/tags/v7.8.9").status)
end)

it("finds each place that has another version", function()
  local folder <close> = repository()
  local version = require("directmethods.core").version
  local good = run(folder, "$LUA build-aux/version.lua --check")
  assert.same({ 0, "" }, { good.status, good.stderr })
  for _, path in ipairs { "debian/changelog",
    "lua/directmethods/hub/admin/openapi.json",
    ("rockspec/directmethods-hub-%s-1.rockspec"):format(version) } do
    local bad = run(folder, ([[
      sed -i 's/%s/1.1.1/' %s; $LUA build-aux/version.lua --check]])
      :format(version:gsub("%.", "\\."), path))
    assert.equal(1, bad.status)
    local message = path .. ": version 1.1.1, but"
    assert.is_truthy(bad.stderr:find(message, 1, true), bad.stderr)
    run(folder, "git checkout -q .")
  end
end)
