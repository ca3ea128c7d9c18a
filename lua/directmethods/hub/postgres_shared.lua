--- What hubs that share a PostgreSQL database have in it, in PostgreSQL's own words:
-- the hubs, which devices are connected to them, and what they notify each other of.
-- Triggers do nothing in a database that one hub has for itself: only the connections
-- of hubs that share it have the setting `directmethods.shared`.

local M = {}

--- The channel of all notices. Their texts:
--   "i"  identities have changed: there is a newer counts.version
--   "s"  a setting has changed
--   "j"  a job was created, or has another owner or status
--   "h {hub}"  a hub has ended, or was found dead
--   "d {part}/{parts} {version} {device}/{module} {text}"  desired properties: a part
--      of the text that the device is told
M.CHANNEL = "directmethods"

local SHARED = "(current_setting('directmethods.shared', true) = 'on')"

local function trigger(name, event, call)
  return ("CREATE TRIGGER %s AFTER %s FOR EACH ROW WHEN %s EXECUTE FUNCTION %s"):format(
    name, event, SHARED, call)
end

local TELL = [[CREATE FUNCTION tell_hubs() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM pg_notify('directmethods', TG_ARGV[0]);
    RETURN NULL;
  END $$]]

local KEEP_REMOVED = [[CREATE FUNCTION keep_removed_identity() RETURNS trigger
  LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO removed_identities (version, device_id, module_id)
      SELECT version, old.device_id, old.module_id FROM counts;
    DELETE FROM presence WHERE device_id = old.device_id AND module_id = old.module_id;
    RETURN NULL;
  END $$]]

-- A notice has at most 8,000 bytes, and one text is sent once in a transaction. What is
-- kept of it is for hubs that were not listening.
local TELL_DESIRED = [[CREATE FUNCTION tell_desired(device TEXT, module TEXT,
    version BIGINT, message TEXT) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    size CONSTANT INT := 1800;
    parts INT := greatest(1, (length(message) + size - 1) / size);
  BEGIN
    INSERT INTO desired_notices (device_id, module_id, version, message)
      VALUES (device, module, tell_desired.version, tell_desired.message);
    FOR part IN 1..parts LOOP
      PERFORM pg_notify('directmethods', concat('d ', part, '/', parts, ' ',
        tell_desired.version, ' ', device, '/', module, ' ',
        substr(tell_desired.message, (part - 1) * size + 1, size)));
    END LOOP;
  END $$]]

-- End a hub: a dead one only if it has not changed its row since. What it had called
-- for jobs may have been done.
local END_HUB = [[CREATE FUNCTION end_hub(dead TEXT, seen BIGINT, at BIGINT, why TEXT)
    RETURNS boolean LANGUAGE plpgsql AS $$
  BEGIN
    DELETE FROM hubs WHERE id = dead AND (seen IS NULL OR beat = seen);
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE presence SET connected = 0, changed = at WHERE hub = dead AND connected = 1;
    WITH lost AS (
      UPDATE device_jobs SET state = 'failed', ended = at, updated = at,
        error_code = 'UnknownOutcome', error_text = why
      WHERE job_id IN (SELECT id FROM jobs WHERE ended IS NULL)
        AND state = 'running' AND owner = dead
      RETURNING job_id
    ), count_of AS (SELECT job_id, count(*) AS n FROM lost GROUP BY job_id)
    UPDATE jobs SET running = running - n, failed = failed + n
      FROM count_of WHERE id = job_id;
    UPDATE jobs SET owner = '' WHERE owner = dead AND ended IS NULL;
    PERFORM pg_notify('directmethods', 'h ' || dead);
    RETURN true;
  END $$]]

-- How many devices, at most `wanted`, a hub may begin with now for jobs: all hubs share
-- `rate` devices a second.
local TAKE_RATE = [[CREATE FUNCTION take_job_rate(wanted BIGINT, rate FLOAT8, at BIGINT)
    RETURNS BIGINT LANGUAGE plpgsql AS $$
  DECLARE
    have FLOAT8;
    granted BIGINT;
    since BIGINT;
  BEGIN
    SELECT tokens, filled INTO have, since FROM job_rate FOR UPDATE;
    have := least(greatest(1, rate),
      have + greatest(0, at - since) / 1000.0 * rate);
    granted := least(wanted, floor(have));
    UPDATE job_rate SET tokens = have - granted, filled = greatest(since, at);
    RETURN granted;
  END $$]]

--- Step 2 of the schema.
M.STEP = {
  -- who runs a job; '': nobody does
  "ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
  -- beat: counts up each second while the hub lives
  "CREATE TABLE hubs (id TEXT PRIMARY KEY, beat BIGINT NOT NULL)",
  -- the latest connection of each identity. changed: unix ms, by the hub's clock
  [[CREATE TABLE presence (
      device_id TEXT COLLATE "C" NOT NULL,
      module_id TEXT COLLATE "C" NOT NULL,
      hub TEXT NOT NULL,
      epoch BIGINT NOT NULL,
      connected BIGINT NOT NULL,
      changed BIGINT NOT NULL,
      PRIMARY KEY (device_id, module_id)
    )]],
  "CREATE INDEX presence_of_hub ON presence (hub) WHERE connected = 1",
  "CREATE INDEX presence_by_epoch ON presence (epoch)",
  "CREATE SEQUENCE epochs",
  [[CREATE TABLE removed_identities (
      version BIGINT NOT NULL,
      device_id TEXT COLLATE "C" NOT NULL,
      module_id TEXT COLLATE "C" NOT NULL,
      at TIMESTAMPTZ NOT NULL DEFAULT now(),
      PRIMARY KEY (version, device_id, module_id)
    )]],
  [[CREATE TABLE desired_notices (
      n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      device_id TEXT NOT NULL,
      module_id TEXT NOT NULL,
      version BIGINT NOT NULL,
      message TEXT NOT NULL,
      at TIMESTAMPTZ NOT NULL DEFAULT now()
    )]],
  "CREATE TABLE job_rate (tokens FLOAT8 NOT NULL, filled BIGINT NOT NULL)",
  "INSERT INTO job_rate VALUES (0, 0)",
  TELL, KEEP_REMOVED, TELL_DESIRED, END_HUB, TAKE_RATE,
  trigger("tell_version", "UPDATE OF version ON counts", "tell_hubs('i')"),
  trigger("keep_removed", "DELETE ON identities", "keep_removed_identity()"),
  trigger("tell_setting", "INSERT OR UPDATE ON settings", "tell_hubs('s')"),
  trigger("tell_job", "INSERT OR DELETE OR UPDATE OF status, ended, selected, owner "
    .. "ON jobs", "tell_hubs('j')"),
}

--- Finds identities by their versions. A database that one hub has for itself goes
-- without it.
M.VERSIONS = "CREATE INDEX identities_by_version ON identities (version)"
M.HAS_VERSIONS = "SELECT to_regclass('identities_by_version') IS NOT NULL"

--- Forget what all hubs have followed long ago.
M.PURGE = {
  "DELETE FROM removed_identities WHERE at < now() - interval '1 day'",
  "DELETE FROM desired_notices WHERE at < now() - interval '10 minutes'",
}

return M
