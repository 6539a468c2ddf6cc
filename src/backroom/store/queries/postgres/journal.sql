-- of_project --
SELECT project_id, sequence, instance_id, task_id, hash, at, verb, actor, from_state, to_state,
       step, attempt, detail
FROM events WHERE project_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3

-- of_instance --
SELECT project_id, sequence, instance_id, task_id, hash, at, verb, actor, from_state, to_state,
       step, attempt, detail
FROM events WHERE project_id = $1 AND instance_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4

-- of_task --
SELECT project_id, sequence, instance_id, task_id, hash, at, verb, actor, from_state, to_state,
       step, attempt, detail
FROM events WHERE project_id = $1 AND task_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4

-- head --
SELECT sequence, hash FROM chains WHERE project_id = $1
