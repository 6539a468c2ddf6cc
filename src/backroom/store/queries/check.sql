-- Each block finds what must not be: one row, one text, for each. For every kind of database.

-- state --
SELECT 'task ' || id || ' is ' || state || ', which is no state' FROM tasks
WHERE state NOT IN ('waiting', 'running', 'succeeded', 'failed', 'cancelled')

-- holder --
SELECT 'task ' || id || ' is ' || state || ' and its worker is ' || coalesce(worker_id, 'nobody')
FROM tasks WHERE (state = 'running') <> (worker_id IS NOT NULL)

-- end --
SELECT 'task ' || id || ' is ' || state || ' and ended at ' || coalesce(ended_at, 'no time')
FROM tasks WHERE (state IN ('waiting', 'running')) <> (ended_at IS NULL)

-- lane_without_task --
SELECT 'lane ' || l.lane || ' is there and none of its tasks is unfinished' FROM lanes l
LEFT JOIN (SELECT DISTINCT lane FROM tasks WHERE state IN ('waiting', 'running')) t
    ON t.lane = l.lane
WHERE t.lane IS NULL

-- task_without_lane --
SELECT 'task ' || t.id || ' is ' || t.state || ' and its lane ' || t.lane || ' is not there'
FROM tasks t LEFT JOIN lanes l ON l.lane = t.lane
WHERE t.state IN ('waiting', 'running') AND l.lane IS NULL

-- head --
SELECT 'lane ' || l.lane || ' has head ' || l.head || ', its oldest unfinished task is ' || t.key
FROM lanes l JOIN (SELECT lane, min(key) AS key FROM tasks WHERE state IN ('waiting', 'running')
                   GROUP BY lane) t ON t.lane = l.lane
WHERE l.head <> t.key

-- lane_holder --
SELECT 'lane ' || l.lane || ' is held by ' || coalesce(l.worker_id, 'nobody') || ', its task by '
       || coalesce(t.worker_id, 'nobody')
FROM lanes l JOIN tasks t ON t.key = l.head
WHERE coalesce(l.worker_id, '') <> coalesce(t.worker_id, '')

-- stream --
SELECT 'task ' || t.id || ' has key ' || t.key || ', which is of no stream of its instance and kind'
FROM tasks t LEFT JOIN streams s ON s.id = t.key >> 36
WHERE s.id IS NULL OR s.instance_id <> t.instance_id OR s.kind <> t.kind
   OR s.project_id <> t.project_id

-- stream_counts --
SELECT 'stream ' || s.id || ' counts ' || s.live || ' tasks, ' || s.open || ' unfinished; there are '
       || coalesce(t.live, 0) || ' and ' || coalesce(t.open, 0)
FROM streams s LEFT JOIN (
    SELECT key >> 36 AS stream, count(*) AS live,
           sum(CASE WHEN state IN ('waiting', 'running') THEN 1 ELSE 0 END) AS open
    FROM tasks GROUP BY key >> 36) t ON t.stream = s.id
WHERE s.live <> coalesce(t.live, 0) OR s.open <> coalesce(t.open, 0)

-- stream_span --
SELECT 'stream ' || s.id || ' spans ' || s.first_ordinal || ' to ' || s.last_ordinal
       || ', its tasks ' || t.first || ' to ' || t.last
FROM streams s JOIN (
    SELECT key >> 36 AS stream, min(key) - ((key >> 36) << 36) AS first,
           max(key) - ((key >> 36) << 36) AS last, max(created_at) AS created_at
    FROM tasks GROUP BY key >> 36) t ON t.stream = s.id
WHERE s.first_ordinal <> t.first OR s.last_ordinal < t.last OR s.last_created_at < t.created_at

-- blocks --
SELECT 'block ' || coalesce(c.block, t.block) || ' of level ' || coalesce(c.level, t.level)
       || ' counts ' || coalesce(c.live, 0) || ' tasks; there are ' || coalesce(t.live, 0)
FROM (SELECT 6 AS level, key >> 6 AS block, count(*) AS live FROM tasks GROUP BY key >> 6
      UNION ALL SELECT 12, key >> 12, count(*) FROM tasks GROUP BY key >> 12
      UNION ALL SELECT 18, key >> 18, count(*) FROM tasks GROUP BY key >> 18) t
FULL JOIN task_counts c ON c.level = t.level AND c.block = t.block
WHERE coalesce(c.live, 0) <> coalesce(t.live, 0)

-- project_counts --
SELECT 'chain of project ' || coalesce(c.project_id, t.project_id) || ' counts '
       || coalesce(c.open, 0) || ' unfinished tasks; there are ' || coalesce(t.open, 0)
FROM (SELECT project_id, count(*) AS open FROM tasks WHERE state IN ('waiting', 'running')
      GROUP BY project_id) t
FULL JOIN chains c ON c.project_id = t.project_id
WHERE coalesce(c.open, 0) <> coalesce(t.open, 0)

-- last_event --
SELECT 'task ' || t.id || ' is ' || t.state || ', its last event led to '
       || coalesce(e.to_state, 'nothing')
FROM tasks t LEFT JOIN (SELECT task_id, max(sequence) AS sequence FROM events GROUP BY task_id) m
    ON m.task_id = t.id
LEFT JOIN events e ON e.project_id = t.project_id AND e.sequence = m.sequence
WHERE coalesce(e.to_state, '') <> t.state

-- orphan_steps --
SELECT 'step ' || s.position || ' of task ' || s.task_id || ', which is not there'
FROM steps s LEFT JOIN tasks t ON t.id = s.task_id WHERE t.id IS NULL

-- orphan_attempts --
SELECT 'attempt ' || a.epoch || ' of task ' || a.task_id || ', which is not there'
FROM attempts a LEFT JOIN tasks t ON t.id = a.task_id WHERE t.id IS NULL

-- open_attempts --
SELECT 'attempt ' || a.epoch || ' of task ' || t.id || ' has not ended, and the task is ' || t.state
FROM attempts a JOIN tasks t ON t.id = a.task_id
WHERE a.ended_at IS NULL AND (t.state <> 'running' OR t.epoch <> a.epoch)

-- orphan_users --
SELECT 'user ' || u.name || ' is of project ' || u.project_id || ', which is not there'
FROM users u LEFT JOIN projects p ON p.id = u.project_id WHERE p.id IS NULL

-- orphan_keys --
SELECT 'a key is of project ' || k.project_id || ', which is not there'
FROM access_keys k LEFT JOIN projects p ON p.id = k.project_id WHERE p.id IS NULL

-- chained_events --
SELECT project_id, sequence, instance_id, task_id, hash, at, verb, actor, from_state, to_state,
       step, attempt, detail
FROM events ORDER BY project_id, sequence

-- chains --
SELECT project_id, sequence, hash FROM chains ORDER BY project_id
