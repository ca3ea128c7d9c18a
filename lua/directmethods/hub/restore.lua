--- What a hub finds in its store when it begins, or makes and leaves there: the keys
-- of its policies, its certificates, its identities.

local certificates = require "directmethods.hub.certificates"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"

local M = {}

-- Identities that are loaded between two turns of the loop; more of a database, where a
-- page costs an exchange with the server.
local PAGE, DATABASE_PAGE = 200, 500

local function damaged(name)
  return errors.new {
    name = "StorageFailed",
    message = ("the store is damaged: its %s cannot be read"):format(name),
  }
end

--- An error at the beginning of a hub, with the name of the store that is to blame.
---@param store directmethods.Store
---@param err directmethods.Error
---@return directmethods.Error
function M.blame(store, err)
  if err.name ~= "StorageFailed" or not store.lasts then return err end
  return errors.new {
    name = err.name,
    message = ("store %s: %s"):format(store.name, err.message),
  }
end

-- A setting that holds a JSON object, and its text; {}: it is not there.
local function document(store, name)
  local text, err = store:setting(name)
  if err then return nil, err end
  local found = json.decode(text or "{}")
  if type(found) == "table" then return found, text end
  return nil, damaged(name)
end

-- Read the object, and put the one in its place that `make(found)` gives; nil, err: it
-- cannot be made. `keeps(made, found)` says whether it is to be kept. When another hub
-- was faster, its object is read.
local function change_document(store, name, make, keeps)
  while true do
    local found, text = document(store, name)
    if not found then return nil, text end
    local made, err = make(found)
    if not made then return nil, err end
    if not keeps(made, found) then return made end
    local done
    done, err = store:put_setting(name, json.encode(made), text)
    if done then return made end
    if err.name ~= "Conflict" then return nil, err end
  end
end

local function are_keys(pair)
  return type(pair) == "table" and not identity.wrong_key(pair[1])
    and not identity.wrong_key(pair[2])
end

--- The keys of policies, made where there are none.
---@param store directmethods.Store
---@param names string[]
---@param dev boolean the published ones; they are not kept
---@param given table<string, string> primary keys to be kept in the place of others
---@return table<string, string[]>? keys name -> primary, secondary
---@return directmethods.Error? err
function M.policy_keys(store, names, dev, given)
  local function make(kept)
    local keys = {}
    for _, name in ipairs(names) do
      local known = not dev and are_keys(kept[name])
      keys[name] = known and kept[name] or { identity.new_keys(dev) }
      if given[name] and given[name] ~= keys[name][1] then
        keys[name] = { given[name], keys[name][2] }
      end
    end
    return keys
  end
  return change_document(store, "policies", make, function(keys, kept)
    for _, name in ipairs(names) do
      if keys[name] ~= kept[name] then return not dev end
    end
    return false
  end)
end

-- Hubs that share a database have one authority, which is in the database with the
-- server certificate of the hub that made it. Each other hub makes a server certificate
-- for its own names, and has it only in memory.
local function own_certificates(store, kept)
  local own = store.certificates
  if store.shared and own and own.ca == kept.ca then return own end
  return kept
end

--- The certificates of a hub: those in its store, as far as they still serve.
---@param store directmethods.Store
---@param names string[] host names and addresses
---@return directmethods.KeptCertificates? certificates
---@return directmethods.Error? err
function M.certificates(store, names)
  if not store.lasts then
    store.certificates = certificates.renew(store.certificates or {}, names)
    return store.certificates
  end
  local found, renewed
  local made, err = change_document(store, "certificates", function(kept)
    found, renewed = kept, certificates.renew(own_certificates(store, kept), names)
    return renewed, not renewed and damaged("certificates") or nil
  end, function(_, kept)
    if store.shared then return renewed.ca ~= kept.ca end
    return renewed ~= kept
  end)
  -- a server's certificate is made anew next time; an authority must stay
  if not made and renewed and renewed.ca == found.ca then made = renewed end
  if store.shared then store.certificates = made end
  return made, err
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

--- Give clients another authority: new clients of this process, and those that read the
-- CA file.
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
  message = ("store %s: %s"):format(store.name, message)
  return errors.new { name = name, message = message }
end

--- Let the registry know of all identities in the store. Other tasks and the loop go
-- on between pages.
---@param registry directmethods.Registry
---@param store directmethods.Store
---@return boolean? loaded
---@return directmethods.Error? err
function M.load(registry, store)
  if not store.lasts then return true end
  local size = store.in_database and DATABASE_PAGE or PAGE
  local page, err
  repeat
    page, err = store:known(page and page[#page], size)
    if not page then return nil, err end
    local ok, name, message = registry:adopt(page)
    if not ok then return nil, no_room(store, name, message) end
  until #page < size
  return true
end

return M
