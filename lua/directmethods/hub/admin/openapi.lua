--- GET /openapi.json: the description of all routes, the file openapi.json beside this
-- one.

local FOLDER = debug.getinfo(1, "S").source:match("^@(.*/)") or ""

local function openapi()
  local file <close> = assert(io.open(FOLDER .. "openapi.json"))
  return file:read("a")
end

---@type directmethods.AdminRoute[]
return {
  { path = "/openapi.json", GET = { openapi } },
}
