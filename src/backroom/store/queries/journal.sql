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

-- ends --
-- a look-up for each end; of a task that is gone, the name in its submit's detail
SELECT to_state, name, count(*)
FROM (SELECT e.to_state, coalesce(t.name, (
          SELECT substr(s.detail, 1, instr(s.detail || ':', ':') - 1)
          FROM events s WHERE s.task_id = e.task_id ORDER BY s.id LIMIT 1)) name
      FROM events e LEFT JOIN tasks t ON t.id = e.task_id
      WHERE e.project_id = ? AND e.sequence > ? AND e.sequence <= ?
        AND e.to_state IN ('succeeded', 'failed', 'cancelled'))
GROUP BY to_state, name ORDER BY to_state, name

-- heads --
SELECT project_id, sequence FROM chains WHERE sequence > 0

-- head --
SELECT sequence, hash FROM chains WHERE project_id = ?
