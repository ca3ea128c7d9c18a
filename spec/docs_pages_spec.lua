--- The pages for users: whom they are for, and what the troubleshooting quotes.

local documents = require "spec.support.documents"

local INDEX = "docs/index.md"

describe("each document", function()
  it("says first for whom it is", function()
    local count = 0
    for _, path in ipairs(documents.list()) do
      local first = documents.read(path):match "^# [^\n]+\n\n(.-)\n\n"
      if path ~= "README.md" then -- which says first what this is
        assert(first:find "^For " or first:find "^This page is for ", path)
        count = count + 1
      end
    end
    assert.is_true(count > 20)
  end)

  it("is in docs/index.md", function()
    local index = documents.read(INDEX)
    for _, path in ipairs(documents.list()) do
      local name = path:match "^docs/(.*)$"
      if name and path ~= INDEX then
        assert(index:find("(" .. name .. ")", 1, true), path)
      end
    end
  end)
end)

-- The texts of DM_WHY_MAP.
local function reasons()
  local source = documents.read("csrc/hub/reasons.h"):gsub('"%s*\\?\n%s*"', "")
  local texts = {}
  for text in source:gmatch 'X%([%u_]+, "[%l_]+",[%s\\]+"([^"]+)"%)' do
    texts[#texts + 1] = text:gsub("&", "@")
  end
  assert(#texts > 30)
  return texts
end

describe("docs/troubleshooting.md", function()
  it("quotes reasons that the hub's log has", function()
    local texts, count = "\n" .. table.concat(reasons(), "\n") .. "\n", 0
    local section = documents.read("docs/troubleshooting.md")
      :match "### Why a log%-in is refused\n(.-)\n## "
    for cell in section:gmatch "\n| (`[^|]+) |" do
      for quoted in cell:gmatch "`([^`]+)`" do
        local text = quoted:gsub("'dev1'", "@"):gsub("%.%.%. @", "@")
          :gsub(" %.%.%.$", " #")
        assert(texts:find("\n" .. text .. "\n", 1, true), quoted)
        count = count + 1
      end
    end
    assert.is_true(count > 15)
  end)
end)
