-- encoding --
SHOW server_encoding

-- lock --
SELECT pg_advisory_xact_lock($1)

-- create_versions --
CREATE TABLE IF NOT EXISTS schema_versions (number integer PRIMARY KEY)

-- version --
SELECT coalesce(max(number), 0) FROM schema_versions

-- set_version --
INSERT INTO schema_versions (number) VALUES ($1)

-- now --
SELECT clock_timestamp()

-- put_seal --
INSERT INTO deployment (sealed) VALUES ($1) ON CONFLICT DO NOTHING

-- seal --
SELECT sealed FROM deployment

-- lock_session --
SELECT pg_advisory_lock($1)
