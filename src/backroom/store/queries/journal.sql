-- of_project --
SELECT project_id, sequence, instance_id, task_id, hash, at, verb, actor, from_state, to_state,
       step, attempt, detail
FROM events WHERE project_id = ? AND sequence > ? ORDER BY sequence LIMIT ?

-- of_instance --
SELECT project_id, sequence, instance_id, task_id, hash, at, verb, actor, from_state, to_state,
       step, attempt, detail
FROM events WHERE project_id = ? AND instance_id = ? AND sequence > ? ORDER BY sequence LIMIT ?

-- of_task --
SELECT project_id, sequence, instance_id, task_id, hash, at, verb, actor, from_state, to_state,
       step, attempt, detail
FROM events WHERE project_id = ? AND task_id = ? AND sequence > ? ORDER BY id LIMIT ?

-- head --
SELECT sequence, hash FROM chains WHERE project_id = ?
