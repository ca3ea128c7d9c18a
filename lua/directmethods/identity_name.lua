--- What texts call an identity: "device", or "device/module". Ids contain no slash.
---@param device_id string
---@param module_id string? nil: the device itself
---@return string
return function(device_id, module_id)
  return module_id and device_id .. "/" .. module_id or device_id
end
