-- tables --
SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY name

-- task_ids --
SELECT id FROM tasks ORDER BY created_at, key

-- open_tasks --
SELECT t.id, t.name, t.execute_at IS NOT NULL, l.head IS NOT t.key
FROM tasks t LEFT JOIN lanes l ON l.lane = t.lane
WHERE t.state IN ('waiting', 'running')
