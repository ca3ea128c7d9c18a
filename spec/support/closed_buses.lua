--- Run by two_states.c: a bus that is closed while it connects to servers that do not
-- answer; CLOSED_BUSES has their URLs. The third state has one server alone, so that
-- the process lives longer than the threads of the other two.

local core = require "directmethods.core"
local cluster_core = require "directmethods.cluster_core"

local urls = os.getenv "CLOSED_BUSES"
if ... == 3 then urls = urls:match("^[^,]+") end
local options = { urls = urls, cluster = "lab", hub = "h1" }
local bus = assert(cluster_core.bus(core.loop, options))
bus:close()
