--- Many identities for a hub of `make bench`, made faster than by its API.

local M = {}

local LIST = 256 -- identities that are registered by one list

--- The id of the i-th.
function M.id_of(i)
  return ("dev%06d"):format(i)
end

local function twin(tags)
  local copy = {}
  for name, value in pairs(require("directmethods.hub.twin_document").BLANK) do
    copy[name] = value
  end
  copy.tags = tags
  return copy
end

--- Register so many devices at a hub of this process. The tag "site" of `marked` of
-- them is "north", that of the others "south"; "floor" is a number from 0 to 9.
function M.fill(hub, count, marked)
  local registry, twins = hub.state.registry, {}
  for floor = 0, 9 do
    twins[floor] = twin(('{"site":"south","floor":%d}'):format(floor))
  end
  local north = twin '{"site":"north","floor":3}'
  local function fill_list(first, last)
    local ids = {}
    for i = first, last do ids[#ids + 1] = { device_id = M.id_of(i) } end
    assert(registry:change(ids, function(changes)
      for i = first, last do
        local record = assert(registry:decide_create(changes, M.id_of(i), nil, {}))
        changes:put_twin(record, i % (count // marked) == 0 and north or twins[i % 10])
      end
      return true
    end))
  end
  for first = 1, count, LIST do fill_list(first, math.min(count, first + LIST - 1)) end
end

return M
