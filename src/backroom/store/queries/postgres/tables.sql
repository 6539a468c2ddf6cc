-- has_versions --
SELECT to_regclass('schema_versions')

-- version --
SELECT coalesce(max(number), 0) FROM schema_versions

-- columns --
SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns
WHERE table_schema = current_schema() AND NOT table_name = ANY ($1)
ORDER BY table_name::text COLLATE "C", column_name::text COLLATE "C"

-- keys --
SELECT k.table_name::text, u.column_name::text FROM information_schema.table_constraints k
JOIN information_schema.key_column_usage u USING (constraint_schema, constraint_name)
WHERE k.table_schema = current_schema() AND k.constraint_type = 'PRIMARY KEY'
  AND NOT k.table_name = ANY ($1)
ORDER BY k.table_name, u.ordinal_position

-- identities --
SELECT table_name::text, column_name::text FROM information_schema.columns
WHERE table_schema = current_schema() AND is_identity = 'YES'

-- alone --
SELECT pg_advisory_xact_lock($1)

-- patient --
SET idle_in_transaction_session_timeout = 0
