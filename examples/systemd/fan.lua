-- The handlers of a device for directmethods-device@fan.service (docs/cli.md).

local speed = 0

return {
  set_speed = function(request)
    speed = request.payload
    return 200, { speed = speed }
  end,

  status = function() return 200, { speed = speed } end,
}
