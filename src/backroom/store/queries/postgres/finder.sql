-- of_project --
project_id = $1

-- of_project_open --
project_id = $1 AND state IN ('waiting', 'running')

-- of_project_unwell --
project_id = $1 AND state IN ('failed', 'cancelled')

-- of_instance --
instance_id = $1

-- search --
-- {range} and the position are a range of one index, read backwards, $5 rows of it and no more
SELECT t.id, t.project_id, t.instance_id, t.kind, t.name, t.user_id, t.user_name, t.params, t.state,
       t.created_at, t.updated_at, t.execute_at, t.lane, t.internal, t.version, t.epoch, t.attempt,
       t.worker_id, t.claimed_at, t.due_at, t.started_at, t.ended_at, t.cancel_asked_at,
       t.error_code, t.error_msg, t.reason, t.request_id, t.parent_id, t.before, t.after, t.key
FROM (SELECT key AS k FROM tasks
      WHERE {range} AND (created_at, key) < ($2, $3) AND created_at >= $4
      ORDER BY created_at DESC, key DESC LIMIT $5) looked
JOIN tasks t ON t.key = looked.k
WHERE t.project_id = $6
  AND ($7::text[] IS NULL OR t.kind = ANY ($7))
  AND ($8::text[] IS NULL OR t.state = ANY ($8))
  AND ($9::text[] IS NULL OR t.name = ANY ($9))
  AND ($10::text IS NULL OR t.user_name = $10 OR t.user_id = $10)
  AND ($11::text IS NULL OR strpos(t.params, $11) > 0)
ORDER BY t.created_at DESC, t.key DESC LIMIT $12

-- last_looked_at --
SELECT created_at, key FROM tasks
WHERE {range} AND (created_at, key) < ($2, $3) AND created_at >= $4
ORDER BY created_at DESC, key DESC LIMIT 1 OFFSET $5::bigint - 1

-- lane --
SELECT ready_at, head FROM lanes WHERE lane = $1

-- ahead --
SELECT name FROM tasks
WHERE state = 'waiting' AND lane = $1 AND key < (SELECT key FROM tasks WHERE id = $2)
ORDER BY key

-- holder --
SELECT t.id, t.project_id, t.instance_id, t.kind, t.name, t.user_id, t.user_name, t.params, t.state,
       t.created_at, t.updated_at, t.execute_at, t.lane, t.internal, t.version, t.epoch, t.attempt,
       t.worker_id, t.claimed_at, t.due_at, t.started_at, t.ended_at, t.cancel_asked_at,
       t.error_code, t.error_msg, t.reason, t.request_id, t.parent_id, t.before, t.after
FROM lanes l JOIN tasks t ON t.key = l.head WHERE l.lane = $1 AND t.state = 'running'

-- recent_steps --
-- the steps of the last 20 of this name that succeeded: 20 look-ups
SELECT s.name, s.started_at, s.ended_at
FROM (SELECT id FROM tasks WHERE name = $1 AND state = 'succeeded'
      ORDER BY ended_at DESC LIMIT 20) t
JOIN steps s ON s.task_id = t.id
WHERE s.ended_at IS NOT NULL

-- tallies --
SELECT state, name, count(*) FROM tasks WHERE state IN ('waiting', 'running')
GROUP BY state, name ORDER BY state, name

-- lane_load --
SELECT count(*), min(ready_at) FILTER (WHERE worker_id IS NULL) FROM lanes

-- deepest_lane --
SELECT coalesce(max(open), 0) FROM streams WHERE kind = 'background'

-- oldest_claim --
SELECT min(claimed_at) FROM tasks WHERE state = 'running'

-- oldest_beat --
SELECT min(beat_at) FROM workers
WHERE id IN (SELECT DISTINCT worker_id FROM tasks WHERE state = 'running')

-- ended --
SELECT t.id, t.project_id, t.instance_id, t.kind, t.name, t.user_id, t.user_name, t.params, t.state,
       t.created_at, t.updated_at, t.execute_at, t.lane, t.internal, t.version, t.epoch, t.attempt,
       t.worker_id, t.claimed_at, t.due_at, t.started_at, t.ended_at, t.cancel_asked_at,
       t.error_code, t.error_msg, t.reason, t.request_id, t.parent_id, t.before, t.after
FROM tasks t WHERE t.ended_at < $1 ORDER BY t.ended_at LIMIT $2

-- crowded_streams --
SELECT id, live - open - $1 FROM streams WHERE live - open > $1 ORDER BY id

-- oldest_ended --
SELECT t.id, t.project_id, t.instance_id, t.kind, t.name, t.user_id, t.user_name, t.params, t.state,
       t.created_at, t.updated_at, t.execute_at, t.lane, t.internal, t.version, t.epoch, t.attempt,
       t.worker_id, t.claimed_at, t.due_at, t.started_at, t.ended_at, t.cancel_asked_at,
       t.error_code, t.error_msg, t.reason, t.request_id, t.parent_id, t.before, t.after
FROM tasks t
WHERE t.key BETWEEN $1::bigint << 36 AND (($1::bigint + 1) << 36) - 1
  AND t.ended_at IS NOT NULL
ORDER BY t.key LIMIT $2

-- receipt --
SELECT project_id, token, digest, task_id, instance_id, until FROM receipts
WHERE project_id = $1 AND token = $2 AND until >= $3

-- drop_old_receipts --
DELETE FROM receipts WHERE until < $1
