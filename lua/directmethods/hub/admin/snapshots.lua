--- The routes of snapshots.

local json = require "directmethods.json"
local requests = require "directmethods.hub.admin.request"
local snapshots = require "directmethods.hub.snapshots"

local refuse, try = requests.refuse, requests.try

local function list(hub)
  return json.array(hub:snapshots())
end

local function shown(hub, name)
  for _, each in ipairs(hub:snapshots()) do
    if each.name == name then return each end
  end
  refuse(404, "There is no such snapshot.")
end

local function take(hub, request)
  local wrong = snapshots.wrong_name(request.name)
  if wrong then refuse(400, "the name " .. wrong) end
  try(hub.snapshot, hub, request.name)
  return shown(hub, request.name)
end

local function restore(hub, request)
  shown(hub, request.name)
  try(hub.restore, hub, request.name)
end

local function drop(hub, request)
  shown(hub, request.name)
  hub:drop_snapshot(request.name)
end

---@type directmethods.AdminRoute[]
return {
  { path = "/snapshots", GET = { list } },
  { path = "/snapshots/{name}", POST = { take }, DELETE = { drop } },
  { path = "/snapshots/{name}/restore", POST = { restore } },
}
