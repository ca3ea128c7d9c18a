--- Identities in a database of PostgreSQL, registered by one statement.

local digest = require "openssl.digest"
local core = require "directmethods.core"

local M = {}

-- Without the trigger that counts them: it would change one row so many times in a
-- transaction.
local FILL = [[
  ALTER TABLE identities DISABLE TRIGGER count_identity;
  INSERT INTO identities (device_id, module_id, auth, primary_key, secondary_key,
      enabled, etag, generation_id, version, iot_edge)
    SELECT 'dev' || lpad(i::text, 6, '0'), '', 'sas',
      encode(sha256(i::text::bytea), 'base64'),
      encode(sha256((-i)::text::bytea), 'base64'),
      1, 'MTAw', '638686080000000000', 1, 0
    FROM generate_series(1, %d) i;
  ALTER TABLE identities ENABLE TRIGGER count_identity;
  UPDATE counts SET total = total + %d, enabled = enabled + %d;]]

--- Register devices in a database that a hub has prepared.
---@param server spec.PostgresServer
---@param database string
---@param count integer
function M.fill(server, database, count)
  server:sql(database, FILL:format(count, count, count))
  server:sql(database, "VACUUM ANALYZE")
end

--- The id and the primary key of one of them.
---@param i integer
---@return string id
---@return string key
function M.device(i)
  return ("dev%06d"):format(i),
    core.base64_encode(digest.new("sha256"):final(tostring(i)))
end

return M
