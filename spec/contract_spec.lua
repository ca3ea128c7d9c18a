-- What an api-version allows is written in one place, and Lua asks for it there.

local core = require "directmethods.core"

describe("core.contract", function()
  it("is by the date of an api-version", function()
    assert.equal("2017", core.contract("2018-12-31-preview").name)
    assert.equal("2019", core.contract("2019-01-01-preview").name)
    assert.equal("2019", core.contract("2021-04-12").name)
    assert.equal("2017", core.contract(nil).name)
  end)

  it("is the named one, whatever the api-version", function()
    assert.equal("2017", core.contract("2021-04-12", "2017").name)
    assert.has_error(function() core.contract(nil, "2018") end)
  end)

  it("has the numbers of IoT Hub, and knows the newer contract", function()
    local old = core.contract()
    assert.same({ 8 * 1024, 1, 3600, 30, 300 }, { old.payload, old.response_min,
      old.response_max, old.response_default, old.connect_max })
    local new = old.newer
    assert.same({ "2019-01-01", 128 * 1024, 5, 300, 30, 300 }, { new.since, new.payload,
      new.response_min, new.response_max, new.response_default, new.connect_max })
    assert.is_nil(new.newer)
  end)
end)

it("core.wrong_method_name says what is wrong in IoT Hub's words", function()
  assert.is_nil(core.wrong_method_name("reboot"))
  assert.is_nil(core.wrong_method_name(("m"):rep(100)))
  assert.matches("null or empty", core.wrong_method_name(""))
  assert.matches("longer than 100", core.wrong_method_name(("m"):rep(101)))
  assert.matches("not allowed", core.wrong_method_name("a b"))
  assert.matches("not allowed", core.wrong_method_name("a\0b"))
end)

-- Sources without their comments; what explains errors to users is a document.
local function code_files()
  local files = {}
  local pipe <close> = assert(io.popen("find csrc lua -name '*.[ch]' -o -name '*.lua'"))
  for path in pipe:lines() do
    local file <close> = assert(io.open(path))
    local text = file:read("a")
    if path:find("%.lua$") then
      text = text:gsub("%-%-[^\n]*", "")
    else
      text = text:gsub("/%*.-%*/", "")
    end
    local is_document = path:find("error_codes", 1, true)
      or path:find("differences", 1, true)
    if not is_document then files[path] = text end
  end
  return files
end

it("no code but proto/contract has the contract's date and sizes", function()
  local found = {}
  for path, text in pairs(code_files()) do
    if text:find("2019-01-01", 1, true) or text:find("131072", 1, true) then
      found[#found + 1] = path
    end
  end
  assert.same({ "csrc/proto/contract.c" }, found)
end)
