-- One function splits and decodes the paths of requests, for C and for Lua.

local split_path = require "directmethods.hub_core".split_path

it("a path is split, then decoded once", function()
  assert.same({ "devices", "dev1" }, split_path "/devices/dev1")
  assert.same({ "a/b", "%zz" }, split_path "/a%2Fb/%25zz")
  assert.same({ "twins", "dev1" }, split_path "/twins%2Fdev1")
  assert.same({ "a", "", "b" }, split_path "/a//b/")
  assert.same({}, split_path "/")
end)

it("a path with a bad escape has no segments, nor has one without a slash", function()
  for _, path in ipairs { "/%", "/%4", "/%zz", "/a/%4g/b", "", "a", "*" } do
    assert.is_nil(split_path(path), path)
  end
end)

it("of a path longer than any route the first segments are there", function()
  assert.same({ "1", "2", "3", "4", "5", "6", "7", "8" },
    split_path "/1/2/3/4/5/6/7/8/9")
end)
