-- An example: the direct method `uptime` answers {"seconds":1234.5}.
return {
  uptime = function()
    local file <close> = assert(io.open "/proc/uptime")
    return 200, { seconds = file:read("n") }
  end,
}
