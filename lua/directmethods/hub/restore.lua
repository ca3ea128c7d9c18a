--- What a hub finds in its store when it begins, or makes and leaves there: the keys
-- of its policies, its certificates, its identities.

local certificates = require "directmethods.hub.certificates"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"

local M = {}

local PAGE = 200 -- identities that are loaded between two turns of the loop

local function damaged(name)
  return errors.new {
    name = "StorageFailed",
    message = ("the store is damaged: its %s cannot be read"):format(name),
  }
end

--- An error at the beginning of a hub, with the path of the store that is to blame.
---@param store directmethods.Store
---@param err directmethods.Error
---@return directmethods.Error
function M.blame(store, err)
  if err.name ~= "StorageFailed" or not store.path then return err end
  return errors.new {
    name = err.name,
    message = ("store %s: %s"):format(store.path, err.message),
  }
end

-- A setting that holds a JSON object; {}: it is not there.
local function document(store, name)
  local text, err = store:setting(name)
  if err then return nil, err end
  local found = json.decode(text or "{}")
  if type(found) == "table" then return found end
  return nil, damaged(name)
end

local function are_keys(pair)
  return type(pair) == "table" and not identity.wrong_key(pair[1])
    and not identity.wrong_key(pair[2])
end

--- The keys of policies, made where there are none.
---@param store directmethods.Store
---@param names string[]
---@param dev boolean the published ones; they are not kept
---@return table<string, string[]>? keys name -> primary, secondary
---@return directmethods.Error? err
function M.policy_keys(store, names, dev)
  local keys, fresh = {}, false
  local kept, err = document(store, "policies")
  if not kept then return nil, err end
  for _, name in ipairs(names) do
    local known = not dev and are_keys(kept[name])
    keys[name] = known and kept[name] or { identity.new_keys(dev) }
    fresh = fresh or not known
  end
  if dev or not fresh then return keys end
  local done
  done, err = store:put_setting("policies", json.encode(keys))
  if not done then return nil, err end
  return keys
end

--- The certificates of a hub: those in its store, as far as they still serve.
---@param store directmethods.Store
---@param names string[] host names and addresses
---@return directmethods.KeptCertificates? certificates
---@return directmethods.Error? err
function M.certificates(store, names)
  if not store.path then
    store.certificates = certificates.renew(store.certificates or {}, names)
    return store.certificates
  end
  local kept, err = document(store, "certificates")
  if not kept then return nil, err end
  local made = certificates.renew(kept, names)
  if not made then return nil, damaged("certificates") end
  if made == kept then return made end
  local done
  done, err = store:put_setting("certificates", json.encode(made))
  -- a server's certificate is made anew next time; an authority must stay
  if done or made.ca == kept.ca then return made end
  return nil, err
end

local function write(path, text)
  local file, why = io.open(path, "w")
  if not file then return nil, why end
  local written = file:write(text)
  return file:close() and written, "disk full"
end

-- Leave it as it is where it is right: clients read it at any time.
local function keep_file(path, text)
  local file = io.open(path)
  local found = file and file:read("a")
  if file then file:close() end
  if found == text then return true end
  local fresh = path .. ".new"
  local kept = write(fresh, text) and os.rename(fresh, path)
  if not kept then os.remove(fresh) end
  return kept
end

-- Other users' clients read the file, too, so it is made by the umask. Its name cannot
-- be guessed, so nobody can have put a link there.
local function temporary_path()
  local mark = core.random(8):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
  return ("%s/directmethods-ca-%s.pem"):format(os.getenv("TMPDIR") or "/tmp", mark)
end

--- Write the certificate that clients must trust into a file: the one beside the
-- store, which stays; or a temporary one, where there is none or it cannot be written.
---@param store directmethods.Store
---@param ca string PEM
---@return string? path
---@return boolean|string temporary or why
function M.ca_file(store, ca)
  local path = store.path and store.path .. ".ca.pem"
  if path and keep_file(path, ca) then return path, false end
  path = temporary_path()
  local written, why = write(path, ca)
  if written then return path, true end
  os.remove(path)
  return nil, why
end

--- Let clients know of another authority: new ones of this process, and those that
-- read the file.
---@param state directmethods.HubState
---@param ca string? PEM; nil: the system's authorities
---@return boolean? done
---@return directmethods.Error? err the file cannot be written
function M.change_ca(state, ca)
  state.ca = ca
  if not ca or not state.ca_path or keep_file(state.ca_path, ca) then return true end
  return nil, errors.new {
    name = "SystemError",
    message = ("%s: cannot be written"):format(state.ca_path),
  }
end

local function no_room(store, name, message)
  if name == "LimitExceeded" then
    message = "it holds more identities than limits.identities allows"
  end
  message = ("store %s: %s"):format(store.path, message)
  return errors.new { name = name, message = message }
end

--- Let the registry know of all identities in the store. Other tasks and the loop go
-- on between pages.
---@param registry directmethods.Registry
---@param store directmethods.Store
---@return boolean? loaded
---@return directmethods.Error? err
function M.load(registry, store)
  if not store.path then return true end
  local page, err
  repeat
    page, err = store:known(page and page[#page], PAGE)
    if not page then return nil, err end
    local ok, name, message = registry:adopt(page)
    if not ok then return nil, no_room(store, name, message) end
  until #page < PAGE
  return true
end

return M
