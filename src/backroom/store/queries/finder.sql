-- of_project --
project_id = :project_id

-- of_project_open --
project_id = :project_id AND state IN ('waiting', 'running')

-- of_project_unwell --
project_id = :project_id AND state IN ('failed', 'cancelled')

-- of_instance --
instance_id = :instance_id

-- search --
-- {range} and the position are a range of one index, read backwards, :most rows of it and no more
SELECT t.id, t.project_id, t.instance_id, t.kind, t.name, t.user_id, t.user_name, t.params, t.state,
       t.created_at, t.updated_at, t.execute_at, t.lane, t.internal, t.version, t.epoch, t.attempt,
       t.worker_id, t.claimed_at, t.due_at, t.started_at, t.ended_at, t.cancel_asked_at,
       t.error_code, t.error_msg, t.reason, t.request_id, t.parent_id, t.before, t.after, t.key
FROM (SELECT key AS k FROM tasks
      WHERE {range} AND (created_at, key) < (:at, :key) AND created_at >= :created_from
      ORDER BY created_at DESC, key DESC LIMIT :most) looked
JOIN tasks t ON t.key = looked.k
WHERE t.project_id = :project_id
  AND (:kinds IS NULL OR t.kind IN (SELECT value FROM json_each(:kinds)))
  AND (:states IS NULL OR t.state IN (SELECT value FROM json_each(:states)))
  AND (:names IS NULL OR t.name IN (SELECT value FROM json_each(:names)))
  AND (:user IS NULL OR t.user_name = :user OR t.user_id = :user)
  AND (:text IS NULL OR instr(t.params, :text) > 0)
ORDER BY t.created_at DESC, t.key DESC LIMIT :limit

-- last_looked_at --
SELECT created_at, key FROM tasks
WHERE {range} AND (created_at, key) < (:at, :key) AND created_at >= :created_from
ORDER BY created_at DESC, key DESC LIMIT 1 OFFSET :most - 1

-- lane --
SELECT ready_at, head FROM lanes WHERE lane = ?

-- ahead --
SELECT name FROM tasks
WHERE state = 'waiting' AND lane = :lane AND key < (SELECT key FROM tasks WHERE id = :id)
ORDER BY key

-- holder --
SELECT t.id, t.project_id, t.instance_id, t.kind, t.name, t.user_id, t.user_name, t.params, t.state,
       t.created_at, t.updated_at, t.execute_at, t.lane, t.internal, t.version, t.epoch, t.attempt,
       t.worker_id, t.claimed_at, t.due_at, t.started_at, t.ended_at, t.cancel_asked_at,
       t.error_code, t.error_msg, t.reason, t.request_id, t.parent_id, t.before, t.after
FROM lanes l JOIN tasks t ON t.key = l.head WHERE l.lane = ? AND t.state = 'running'

-- recent_steps --
-- the steps of the last 20 of this name that succeeded: 20 look-ups
SELECT s.name, s.started_at, s.ended_at
FROM (SELECT id FROM tasks WHERE name = ? AND state = 'succeeded'
      ORDER BY ended_at DESC LIMIT 20) t
JOIN steps s ON s.task_id = t.id
WHERE s.ended_at IS NOT NULL

-- tallies --
SELECT state, name, count(*) FROM tasks WHERE state IN ('waiting', 'running')
GROUP BY state, name ORDER BY state, name

-- lane_load --
SELECT count(*), min(CASE WHEN worker_id IS NULL THEN ready_at END) FROM lanes

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
FROM tasks t WHERE t.ended_at < ? ORDER BY t.ended_at LIMIT ?

-- crowded_streams --
SELECT id, live - open - :most FROM streams WHERE live - open > :most

-- oldest_ended --
SELECT t.id, t.project_id, t.instance_id, t.kind, t.name, t.user_id, t.user_name, t.params, t.state,
       t.created_at, t.updated_at, t.execute_at, t.lane, t.internal, t.version, t.epoch, t.attempt,
       t.worker_id, t.claimed_at, t.due_at, t.started_at, t.ended_at, t.cancel_asked_at,
       t.error_code, t.error_msg, t.reason, t.request_id, t.parent_id, t.before, t.after
FROM tasks t
WHERE t.key BETWEEN :stream * 68719476736 AND (:stream + 1) * 68719476736 - 1
  AND t.ended_at IS NOT NULL
ORDER BY t.key LIMIT :limit
