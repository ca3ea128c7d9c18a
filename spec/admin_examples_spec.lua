--- The examples of openapi.json: each is asked for, and must be answered as it shows.
-- The example of a request and that of its answer have one name.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local http = require "spec.support.http"
local openapi = require "spec.support.openapi"
local wires = require "spec.support.wire"
local worlds = require "spec.support.admin_world"

local description = openapi.read "lua/directmethods/hub/admin/openapi.json"

-- Answers that are no documents but go on: specs of their own read them.
local STREAMS = { ["GET /events"] = true, ["GET /recordings/{id}"] = true }
-- What every route may answer; the names of their examples are their own.
local COMMON = { Invalid = true, Unauthorized = true, Forbidden = true, Failed = true }

local function escape(value)
  return (tostring(value):gsub("[^%w%-_.]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

-- The value of an example of this name; nil: there is none.
local function value_of(node, name)
  local example = (node.examples or {})[name]
  return example and example.value
end

-- The target of a request by the name of its example.
local function target_of(operation, name)
  local place, query = operation.path, {}
  for _, parameter in ipairs(operation.parameters or {}) do
    local value = value_of(parameter, name)
    if value and parameter["in"] == "path" then
      place = place:gsub("{" .. parameter.name .. "}", (escape(value)
        :gsub("%%", "%%%%")))
    elseif value then
      query[#query + 1] = parameter.name .. "=" .. escape(value)
    end
  end
  assert(not place:find "{", place .. ": no value for a part of the path: " .. name)
  return place .. (query[1] and "?" .. table.concat(query, "&") or "")
end

local function body_of(operation, name)
  local content = operation.requestBody and operation.requestBody.content
  return content and value_of(content["application/json"], name)
end

-- The names of all examples of the requests of an operation.
local function names_of(operation)
  local names = {}
  local function add(node)
    for name in pairs(node.examples or {}) do names[name] = true end
  end
  for _, parameter in ipairs(operation.parameters or {}) do add(parameter) end
  local content = operation.requestBody and operation.requestBody.content
  if content then add(content["application/json"]) end
  return names
end

-- { operation, status, name, kind of content, value }, for all examples.
local function examples()
  local list = {}
  for key, operation in pairs(description:operations()) do
    operation.path = key:match " (.*)$"
    local left = names_of(operation)
    for status, response in pairs(operation.responses) do
      for kind, content in pairs(response.content or {}) do
        for name, example in pairs(content.examples or {}) do
          left[name] = nil
          list[#list + 1] = { key, tonumber(status), name, kind, example.value,
            operation = operation }
        end
      end
    end
    if operation.responses["204"] then
      list[#list + 1] = { key, 204, next(left) or "", operation = operation }
    end
  end
  table.sort(list, function(a, b)
    return a[1] .. a[2] .. a[3] < b[1] .. b[2] .. b[3]
  end)
  return list
end

-- Answers that say more than an example shows: it must be a part of them.
local PARTS = {}

PARTS["GET /openapi.json"] = function(example, answer)
  for path in pairs(example.paths) do assert.is_table(answer.paths[path]) end
  return example.openapi == answer.openapi
end

PARTS["GET /metrics"] = function(example, answer)
  for line in example:gmatch "[^\n]+" do
    assert.is_truthy(answer:find(line, 1, true), line)
  end
  return true
end

PARTS["GET /hub"] = function(example, answer)
  example.ports, answer.ports = nil, nil
  assert.same(example, answer)
  return true
end

PARTS["GET /deadlines"] = function(example, answer)
  local texts = {}
  for _, each in ipairs(answer) do texts[each.text] = true end
  for _, each in ipairs(example) do assert.is_true(texts[each.text], each.text) end
  return true
end

PARTS["GET /throttles"] = function(example, answer)
  local buckets = {}
  for _, each in ipairs(answer.buckets) do buckets[each.name] = each end
  for _, each in ipairs(example.buckets) do
    assert.is_true(buckets[each.name].left <= each.capacity)
    each.left, buckets[each.name].left = nil, nil
    assert.same(each, buckets[each.name])
  end
  for _, quota in ipairs { example.quota, answer.quota } do
    assert.is_true(quota.left <= quota.capacity and quota.renews > 0)
    quota.left, quota.renews = nil, nil
  end
  example.buckets, answer.buckets = nil, nil
  assert.same(example, answer)
  return true
end

describe("the examples of openapi.json", function()
  for _, each in ipairs(examples()) do
    local key, status, name, kind, value = table.unpack(each, 1, 5)
    it(("answer %s as they show: %d %s"):format(key, status, name), function()
      local world = worlds.new(key)
      local target = target_of(each.operation, name)
      local body = body_of(each.operation, name)
      local found, answer, reply = world:ask(key, status, target, body)
      assert.equal(status, found, reply.body)
      if not kind then
        assert.equal("", reply.body)
      elseif PARTS[key] then
        assert.is_true(PARTS[key](value, answer or reply.body))
      else
        assert.same(worlds.plain(value), worlds.plain(answer or reply.body))
      end
      if kind then assert.equal(kind, reply.headers["content-type"]:match "^[^;]+") end
      world:close()
    end)
  end

  it("are there for every route and every answer", function()
    local has = {}
    for _, each in ipairs(examples()) do has[each[1] .. each[2]] = true end
    for key, operation in pairs(description:operations()) do
      for status, response in pairs(operation.responses) do
        local common = (response["$ref"] or ""):match "[^/]*$"
        if not COMMON[common] and not (STREAMS[key] and status == "200") then
          assert.is_true(has[key .. status], key .. " " .. status)
        end
      end
    end
  end)

  it("show what every route may answer", function()
    local function message(name)
      local content = description.components.responses[name].content
      return select(2, next(content["application/json"].examples)).value.Message
    end
    local world = worlds.new()
    for key in pairs(description:operations()) do
      local method, target = key:match "^(%u+) (.*)$"
      target = target:gsub("{%a+}", "1")
      local function says(name, path, o)
        local _, answer = admin.ask(world.hub, method, path, o)
        assert.equal(message(name), answer.Message, key)
      end
      says("Invalid", target .. "?no=1", { body = "{}" })
      says("Forbidden", target, { host = "evil.example" })
      if target ~= "/healthz" then says("Unauthorized", target, { token = false }) end
    end
    local wire = wires.connect(world.hub:ports().admin)
    wire:send(http.request(admin.request(world.hub, "GET", "/wait?call=never")))
    assert.is_true(wire:stays_quiet())
    local stopping = dm.spawn(world.hub.stop, world.hub, 60)
    assert.equal(message "Failed", dm.json.decode(http.read(wire).body).Message)
    wire:close()
    assert(stopping:await(10))
    world:close()
  end)
end)
