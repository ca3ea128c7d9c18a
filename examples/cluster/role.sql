-- The role and the database of several hubs of one name. Run it once, as PostgreSQL's
-- superuser:
--
--     psql -v ON_ERROR_STOP=1 -v password="$(cat FILE)" -f role.sql
--
-- The hubs make their tables themselves. Each has --store
-- postgres://directmethods@HOST/directmethods?sslmode=verify-full, and the password in a
-- file of the form HOST:5432:directmethods:directmethods:PASSWORD that PGPASSFILE names.
-- In postgresql.conf, leave fsync and synchronous_commit on.
CREATE ROLE directmethods LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE directmethods OWNER directmethods ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE directmethods FROM PUBLIC;
