--- The routes of a browser's session. A page shows the hub's token once, and gets a
-- cookie that no script can read (csrc/hub/admin.c says what it is good for).

local requests = require "directmethods.hub.admin.request"

-- The cookie's name has the port that the browser sees, because a host's cookies are
-- shared by all its ports. csrc/hub/browser.c reads it.
local function cookie(hub, request, value, more)
  local port = (requests.field(request, "host") or ""):match ":(%d+)$" or ""
  return ("Set-Cookie: directmethods_%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s\r\n")
    :format(port, value, hub.config.admin_tls and "; Secure" or "", more or "")
end

local function open(hub, request)
  return nil, cookie(hub, request, hub.state.admin.session)
end

local function close(hub, request)
  return nil, cookie(hub, request, "", "; Max-Age=0")
end

---@type directmethods.AdminRoute[]
return {
  { path = "/session", POST = { open }, DELETE = { close } },
}
