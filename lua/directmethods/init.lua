--- directmethods: Azure IoT Hub direct methods for Lua.
--
-- The first file that `require` reads, so older Lua must be able to parse it: it says
-- which Lua is needed, where the others would only have a syntax error.

if _VERSION < "Lua 5.4" then
  error("directmethods needs Lua 5.4 (busted: --lua=lua5.4), this is " .. _VERSION, 0)
end

return require "directmethods.api"
