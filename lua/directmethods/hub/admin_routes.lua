--- What the admin listener does, path by path (admin/openapi.json). Each function
-- of hub and request is a task of its own, so it may wait. It gives what is answered
-- as JSON with 200, or nil for 204; or raises a refusal (hub/admin/request.lua).

local M = {}

local MODULES = { "control", "openapi", "calls", "wait", "devices", "methods", "faults",
  "recordings", "session", "events", "forms", "snapshots", "jobs",
  "facts", "inspector" }

--- A path; what each verb does, and which parameters its query may have: another one
-- is a mistake, which would select too much.
---@class directmethods.AdminRoute
---@field path string
---@field is_page boolean? a file of the inspector, which is no part of the API
---@field [string] { [1]: function, [string]: true }

---@type directmethods.AdminRoute[]
M.ROUTES = {}
for _, name in ipairs(MODULES) do
  local routes = require("directmethods.hub.admin." .. name)
  table.move(routes, 1, #routes, #M.ROUTES + 1, M.ROUTES)
end

return M
