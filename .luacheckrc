std = "lua54"
max_line_length = 88
max_cyclomatic_complexity = 12
self = false
files["spec"] = { std = "+busted" }
-- stubs for editors: functions without bodies
files["**/*.meta.lua"] = { unused_args = false, ignore = { "241" } }
exclude_files = { "**/node_modules" }
