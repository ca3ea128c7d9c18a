--- The test kit: a hub, its service and its devices for a test. See docs/testing.md.
--
--     local t <close> = require "directmethods.testing".new { tls = false }

require "directmethods" -- an older Lua must be able to parse this file, and learns here

return require "directmethods.testing.kit"
