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

-- ends --
-- a look-up for each end; of a task that is gone, the name in its submit's detail
SELECT to_state, name, count(*)
FROM (SELECT e.to_state, coalesce(t.name, (
          SELECT split_part(s.detail, ':', 1)
          FROM events s WHERE s.task_id = e.task_id ORDER BY s.sequence LIMIT 1)) AS name
      FROM events e LEFT JOIN tasks t ON t.id = e.task_id
      WHERE e.project_id = $1 AND e.sequence > $2 AND e.sequence <= $3
        AND e.to_state IN ('succeeded', 'failed', 'cancelled')) ended
GROUP BY to_state, name ORDER BY to_state, name

-- heads --
SELECT project_id, sequence FROM chains WHERE sequence > 0

-- head --
SELECT sequence, hash FROM chains WHERE project_id = $1
