-- tables --
SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY name

-- task_ids --
SELECT id FROM tasks ORDER BY created_at, key

-- append_ended --
INSERT INTO streams (instance_id, kind, project_id, first_ordinal, last_ordinal,
                     last_created_at, live, open)
VALUES (?, ?, ?, 1, 1, ?, 1, 0)
ON CONFLICT (instance_id, kind) DO UPDATE SET
    last_ordinal = last_ordinal + 1,
    live = live + 1,
    last_created_at = max(last_created_at, excluded.last_created_at)
RETURNING id, last_ordinal, last_created_at

-- open_tasks --
SELECT t.id, t.name, t.execute_at IS NOT NULL, l.head IS NOT t.key
FROM tasks t LEFT JOIN lanes l ON l.lane = t.lane
WHERE t.state IN ('waiting', 'running')
