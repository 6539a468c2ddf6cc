-- access_key --
SELECT access_key, sealed_secret, project_id, user_id, user_name, role, created_at, is_generated,
       token_digest, expires_at
FROM access_keys WHERE access_key = ?

-- access_keys --
SELECT access_key, sealed_secret, project_id, user_id, user_name, role, created_at, is_generated,
       token_digest, expires_at
FROM access_keys ORDER BY created_at, access_key

-- insert_access_key --
INSERT INTO access_keys (access_key, sealed_secret, project_id, user_id, user_name, role,
                         created_at, is_generated, token_digest, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (access_key) DO NOTHING

-- delete_access_key --
DELETE FROM access_keys WHERE access_key = ?

-- project --
SELECT id, name FROM projects WHERE id = ?

-- projects --
SELECT id, name FROM projects ORDER BY name, id

-- insert_project --
INSERT INTO projects (id, name) VALUES (?, ?) ON CONFLICT (id) DO NOTHING

-- user --
SELECT id, name, project_id, role, password_hash FROM users WHERE id = ?

-- user_named --
SELECT id, name, project_id, role, password_hash FROM users WHERE name = ?

-- insert_user --
INSERT INTO users (id, name, project_id, role, password_hash) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- token --
SELECT digest, project_id, user_id, user_name, role, issued_at, expires_at
FROM tokens WHERE digest = ?

-- insert_token --
INSERT INTO tokens (digest, project_id, user_id, user_name, role, issued_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- delete_token --
DELETE FROM tokens WHERE digest = ?

-- drop_old_tokens --
DELETE FROM tokens WHERE expires_at < ?

-- drop_old_signatures --
DELETE FROM used_signatures WHERE until < ?

-- insert_signature --
INSERT INTO used_signatures (digest, until) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING

-- delete_signature --
DELETE FROM used_signatures WHERE digest = ?
