-- access_key --
SELECT access_key, sealed_secret, project_id, user_id, user_name, role, created_at, is_generated,
       token_digest, expires_at
FROM access_keys WHERE access_key = $1

-- access_keys --
SELECT access_key, sealed_secret, project_id, user_id, user_name, role, created_at, is_generated,
       token_digest, expires_at
FROM access_keys ORDER BY created_at, access_key

-- insert_access_key --
INSERT INTO access_keys (access_key, sealed_secret, project_id, user_id, user_name, role,
                         created_at, is_generated, token_digest, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (access_key) DO NOTHING

-- delete_access_key --
DELETE FROM access_keys WHERE access_key = $1

-- project --
SELECT id, name FROM projects WHERE id = $1

-- projects --
SELECT id, name FROM projects ORDER BY name, id

-- insert_project --
INSERT INTO projects (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING

-- user --
SELECT id, name, project_id, role, password_hash FROM users WHERE id = $1

-- user_named --
SELECT id, name, project_id, role, password_hash FROM users WHERE name = $1

-- insert_user --
INSERT INTO users (id, name, project_id, role, password_hash) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING

-- token --
SELECT digest, project_id, user_id, user_name, role, issued_at, expires_at
FROM tokens WHERE digest = $1

-- insert_token --
INSERT INTO tokens (digest, project_id, user_id, user_name, role, issued_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- delete_token --
DELETE FROM tokens WHERE digest = $1

-- drop_old_tokens --
DELETE FROM tokens WHERE expires_at < $1

-- drop_old_signatures --
DELETE FROM used_signatures WHERE digest IN (
    SELECT digest FROM used_signatures WHERE until < $1 LIMIT 10000 FOR UPDATE SKIP LOCKED)

-- delete_signature --
DELETE FROM used_signatures WHERE digest = $1

-- insert_signatures --
-- one that is over may be used again
INSERT INTO used_signatures AS u (digest, until)
SELECT * FROM unnest($1::bytea[], $2::text[])
ON CONFLICT (digest) DO UPDATE SET until = excluded.until WHERE u.until < $3 COLLATE "C"
RETURNING digest

-- say_changed --
SELECT pg_notify('backroom_accounts', '')
