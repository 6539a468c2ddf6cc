-- records --
-- a probe of the unique index on id and a row for each
SELECT id, name, user_name, user_id, params, state, created_at, updated_at, execute_at, kind,
       project_id, instance_id
FROM tasks WHERE id = ANY ($1)

-- tasks --
-- a probe of the unique index on id and a row for each
SELECT id, project_id, instance_id, kind, name, user_id, user_name, params, state, created_at,
       updated_at, execute_at, lane, internal, version, epoch, attempt, worker_id, claimed_at,
       due_at, started_at, ended_at, cancel_asked_at, error_code, error_msg, reason, request_id,
       parent_id, before, after
FROM tasks WHERE id = ANY ($1)

-- held --
-- the partial index on running tasks: as many rows as there are leases
SELECT id, project_id, instance_id, kind, name, user_id, user_name, params, state, created_at,
       updated_at, execute_at, lane, internal, version, epoch, attempt, worker_id, claimed_at,
       due_at, started_at, ended_at, cancel_asked_at, error_code, error_msg, reason, request_id,
       parent_id, before, after
FROM tasks WHERE state = 'running' AND worker_id = $1 ORDER BY claimed_at

-- page --
-- a range of the primary key, read backwards: the rows of the page and no others, and of these
-- what is not the same in all of them
SELECT id, name, user_name, user_id, params, state, created_at, updated_at, execute_at
FROM tasks WHERE key BETWEEN $1 AND $2 ORDER BY key DESC LIMIT $3

-- stream --
SELECT id, project_id, first_ordinal, last_ordinal, live FROM streams
WHERE instance_id = $1 AND kind = $2

-- counts --
-- at most 2^6 blocks of one level, or as many top blocks as the stream has
SELECT block, live FROM task_counts WHERE level = $1 AND block >= $2 AND block < $3 ORDER BY block

-- counted --
SELECT coalesce(sum(live), 0)::bigint FROM task_counts WHERE level = $1 AND block >= $2 AND block < $3

-- keys_counted --
SELECT count(*) FROM tasks WHERE key >= $1 AND key < $2

-- key_at --
-- within one block of 2^6 keys
SELECT key FROM tasks WHERE key >= $1 ORDER BY key LIMIT 1 OFFSET $2

-- first_from --
SELECT key FROM tasks WHERE (key >> 36) = $1 AND created_at >= $2
ORDER BY created_at, key LIMIT 1

-- last_to --
SELECT key FROM tasks WHERE (key >> 36) = $1 AND created_at <= $2
ORDER BY created_at DESC, key DESC LIMIT 1

-- current --
SELECT t.id, t.name, t.user_name, t.user_id, t.params, t.state, t.created_at, t.updated_at,
       t.execute_at, t.kind, t.project_id, t.instance_id
FROM lanes l JOIN tasks t ON t.key = l.head WHERE l.lane = $1

-- next_ready --
SELECT ready_at FROM lanes WHERE worker_id IS NULL ORDER BY ready_at LIMIT 1

-- ready_heads --
-- who claims them looks again: nothing is locked
WITH head AS MATERIALIZED (
    SELECT head, turn_at, turn_at < ready_at AS is_new FROM lanes
    WHERE worker_id IS NULL AND turn_at <= $1 AND ready_at <= $1
    ORDER BY turn_at LIMIT $2)
SELECT id, project_id, instance_id, kind, name, user_id, user_name, params, state, created_at,
       updated_at, execute_at, lane, internal, version, epoch, attempt, worker_id, claimed_at,
       due_at, started_at, ended_at, cancel_asked_at, error_code, error_msg, reason, request_id,
       parent_id, before, after, is_new
FROM head JOIN tasks ON key = head ORDER BY turn_at

-- claim --
SELECT refusals, is_ready FROM backroom_claim($1, $2, $3, $4)

-- claim_unseen --
SELECT id, project_id, instance_id, kind, name, user_id, user_name, params, state, created_at,
       updated_at, execute_at, lane, internal, version, epoch, attempt, worker_id, claimed_at,
       due_at, started_at, ended_at, cancel_asked_at, error_code, error_msg, reason, request_id,
       parent_id, before, after
FROM backroom_claim_unseen($1, $2, $3)

-- take --
SELECT id, project_id, instance_id, kind, name, user_id, user_name, params, state, created_at,
       updated_at, execute_at, lane, internal, version, epoch, attempt, worker_id, claimed_at,
       due_at, started_at, ended_at, cancel_asked_at, error_code, error_msg, reason, request_id,
       parent_id, before, after
FROM backroom_take($1, $2, $3)

-- write --
SELECT refusals, is_ready, newcomer FROM backroom_write($1, $2, $3, $4)

-- hurry --
-- scheduled tasks keep their own moment: their lanes are their ids
UPDATE lanes SET ready_at = $1, turn_at = $1
WHERE lane IN (
    SELECT l.lane FROM lanes l JOIN tasks t ON t.key = l.head
    WHERE l.worker_id IS NULL AND l.ready_at > $1 AND t.execute_at IS NULL
    ORDER BY l.lane FOR UPDATE OF l)

-- hurry_tasks --
UPDATE tasks SET due_at = NULL
WHERE state = 'waiting' AND execute_at IS NULL AND due_at > $1

-- steps --
SELECT name, position, state, percent, started_at, ended_at, output
FROM steps WHERE task_id = $1 ORDER BY position

-- attempts --
SELECT epoch, number, worker_id, started_at, ended_at, outcome, step, error, trace
FROM attempts WHERE task_id = $1 ORDER BY epoch

-- events --
SELECT at, verb, actor, from_state, to_state, step, attempt, detail
FROM events WHERE task_id = $1 ORDER BY sequence

-- beat --
INSERT INTO workers (id, beat_at) VALUES ($1, $2)
ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at

-- dead_workers --
SELECT DISTINCT t.worker_id FROM tasks t LEFT JOIN workers w ON w.id = t.worker_id
WHERE t.state = 'running' AND (w.beat_at IS NULL OR w.beat_at < $1)

-- still_there --
SELECT 1 FROM pg_stat_activity WHERE application_name = ANY ($1) LIMIT 1
