std = "lua54"
max_line_length = 88
max_cyclomatic_complexity = 12
self = false
files["spec"] = { std = "+busted" }
exclude_files = { "**/node_modules" }
