-- records --
-- a probe of the unique index on id and a row for each
SELECT id, name, user_name, user_id, params, state, created_at, updated_at, execute_at, kind,
       project_id, instance_id
FROM tasks WHERE id IN (?)

-- task --
SELECT id, project_id, instance_id, kind, name, user_id, user_name, params, state, created_at,
       updated_at, execute_at, lane, internal, version, epoch, attempt, worker_id, claimed_at,
       due_at, started_at, ended_at, cancel_asked_at, error_code, error_msg, reason, request_id,
       parent_id, before, after
FROM tasks WHERE id = ?

-- held --
-- the partial index on running tasks: as many rows as there are leases
SELECT id, project_id, instance_id, kind, name, user_id, user_name, params, state, created_at,
       updated_at, execute_at, lane, internal, version, epoch, attempt, worker_id, claimed_at,
       due_at, started_at, ended_at, cancel_asked_at, error_code, error_msg, reason, request_id,
       parent_id, before, after
FROM tasks WHERE state = 'running' AND worker_id = ? ORDER BY claimed_at

-- page --
-- a range of the primary key, read backwards: the rows of the page and no others, and of these
-- what is not the same in all of them
SELECT id, name, user_name, user_id, params, state, created_at, updated_at, execute_at
FROM tasks WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT ?

-- dense_page --
-- the total and a page of a stream without gaps, where places are differences of keys; NULL for
-- other streams and where a window begins or ends outside. Column by column as JSON, so that it is
-- one step (docs/adr/0010). The + of +s.id takes off the affinity that the index doesn't have; the
-- inner LIMIT is what keeps SQLite from dropping the inner order.
WITH span AS MATERIALIZED (
    SELECT CASE WHEN :created_from IS NULL THEN s.id * 68719476736 + s.first_ordinal ELSE (
               SELECT key FROM tasks
               WHERE key / 68719476736 = +s.id AND created_at >= :created_from
               ORDER BY created_at, key LIMIT 1) END AS lowest,
           CASE WHEN :created_to IS NULL THEN s.id * 68719476736 + s.last_ordinal ELSE (
               SELECT key FROM tasks
               WHERE key / 68719476736 = +s.id AND created_at <= :created_to
               ORDER BY created_at DESC, key DESC LIMIT 1) END AS highest
    FROM streams s
    WHERE s.instance_id = :instance_id AND s.kind = :kind AND s.project_id = :project_id
      AND s.live = s.last_ordinal - s.first_ordinal + 1)
SELECT (SELECT max(highest - lowest + 1, 0) FROM span), json_array(
    json_group_array(id), json_group_array(name), json_group_array(user_name),
    json_group_array(user_id), json_group_array(params), json_group_array(state),
    json_group_array(created_at), json_group_array(updated_at), json_group_array(execute_at))
FROM (
    SELECT id, name, user_name, user_id, params, state, created_at, updated_at, execute_at
    FROM tasks
    WHERE key BETWEEN (SELECT lowest FROM span) AND (SELECT highest - :skip FROM span)
    ORDER BY key DESC LIMIT :limit)

-- stream --
SELECT id, project_id, first_ordinal, last_ordinal, live FROM streams
WHERE instance_id = ? AND kind = ?

-- append_to_stream --
INSERT INTO streams (instance_id, kind, project_id, first_ordinal, last_ordinal,
                     last_created_at, live, open)
VALUES (:instance_id, :kind, :project_id, 1, 1, :created_at, 1, 1)
ON CONFLICT (instance_id, kind) DO UPDATE SET
    last_ordinal = last_ordinal + 1,
    live = live + 1,
    open = open + 1,
    last_created_at = max(last_created_at, excluded.last_created_at)
RETURNING id, last_ordinal, last_created_at, open

-- close_in_stream --
UPDATE streams SET open = open - 1 WHERE id = ?

-- shrink_stream --
-- after the delete: the first key that is left, one look-up
UPDATE streams SET live = live - 1, first_ordinal = coalesce((
    SELECT key FROM tasks
    WHERE key BETWEEN streams.id * 68719476736 AND (streams.id + 1) * 68719476736 - 1
    ORDER BY key LIMIT 1) - id * 68719476736, last_ordinal + 1)
WHERE id = ?

-- add_to_count --
INSERT INTO task_counts (level, block, live) VALUES (?, ?, ?)
ON CONFLICT (level, block) DO UPDATE SET live = live + excluded.live

-- count_key --
-- in its block of each level
INSERT INTO task_counts (level, block, live)
VALUES (?2, ?1 >> ?2, ?5), (?3, ?1 >> ?3, ?5), (?4, ?1 >> ?4, ?5)
ON CONFLICT (level, block) DO UPDATE SET live = live + excluded.live

-- counts --
-- at most 2^6 blocks of one level, or as many top blocks as the stream has
SELECT block, live FROM task_counts WHERE level = ? AND block >= ? AND block < ? ORDER BY block

-- counted --
SELECT coalesce(sum(live), 0) FROM task_counts WHERE level = ? AND block >= ? AND block < ?

-- keys_counted --
SELECT count(*) FROM tasks WHERE key >= ? AND key < ?

-- key_at --
-- within one block of 2^6 keys
SELECT key FROM tasks WHERE key >= ? ORDER BY key LIMIT 1 OFFSET ?

-- first_from --
SELECT key FROM tasks WHERE key / 68719476736 = ? AND created_at >= ?
ORDER BY created_at, key LIMIT 1

-- last_to --
SELECT key FROM tasks WHERE key / 68719476736 = ? AND created_at <= ?
ORDER BY created_at DESC, key DESC LIMIT 1

-- insert_task --
INSERT INTO tasks (key, id, project_id, instance_id, kind, name, user_id, user_name, params, state,
                   created_at, updated_at, execute_at, lane, internal, version, epoch, attempt,
                   worker_id, claimed_at, due_at, started_at, ended_at, cancel_asked_at,
                   error_code, error_msg, reason, request_id, parent_id, before, after)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING

-- update_task --
UPDATE tasks SET state = ?, updated_at = ?, execute_at = ?, version = ?, epoch = ?, attempt = ?,
                 worker_id = ?, claimed_at = ?, due_at = ?, started_at = ?, ended_at = ?,
                 cancel_asked_at = ?, error_code = ?, error_msg = ?, after = ?
WHERE id = ? AND version = ?
RETURNING key

-- delete_task --
DELETE FROM tasks WHERE id = ? AND version = ? RETURNING key

-- delete_steps --
DELETE FROM steps WHERE task_id = ?

-- delete_attempts --
DELETE FROM attempts WHERE task_id = ?

-- add_lane --
-- a lane that is there already keeps its head: the new task queues behind it
INSERT INTO lanes (lane, head, ready_at, turn_at) VALUES (?, ?, ?, ?)
ON CONFLICT (lane) DO NOTHING

-- hold_lane --
UPDATE lanes SET worker_id = ? WHERE lane = ? AND head = ?

-- ready_lane --
UPDATE lanes SET worker_id = NULL, ready_at = ?1, turn_at = ?1 WHERE lane = ?2 AND head = ?3

-- lane_head --
SELECT head FROM lanes WHERE lane = ?

-- next_in_lane --
-- the partial index on waiting tasks
SELECT key, due_at FROM tasks WHERE state = 'waiting' AND lane = ? ORDER BY key LIMIT 1

-- move_lane --
UPDATE lanes SET head = ?1, ready_at = ?2, turn_at = ?2, worker_id = NULL WHERE lane = ?3

-- drop_lane --
DELETE FROM lanes WHERE lane = ?

-- any_ready --
-- among the first lanes, or whether one of these had nothing to do
SELECT 1 FROM (
    SELECT turn_at < ready_at AS is_new FROM lanes
    WHERE worker_id IS NULL AND turn_at <= :now AND +ready_at <= :now
    ORDER BY turn_at LIMIT :most)
WHERE :is_any OR is_new LIMIT 1

-- ready_heads --
-- one that had nothing to do comes before those that had their turn (docs/adr/0021)
SELECT t.id, t.project_id, t.instance_id, t.kind, t.name, t.user_id, t.user_name, t.params,
       t.state, t.created_at, t.updated_at, t.execute_at, t.lane, t.internal, t.version, t.epoch,
       t.attempt, t.worker_id, t.claimed_at, t.due_at, t.started_at, t.ended_at, t.cancel_asked_at,
       t.error_code, t.error_msg, t.reason, t.request_id, t.parent_id, t.before, t.after,
       l.turn_at < l.ready_at
FROM lanes l CROSS JOIN tasks t ON t.key = l.head
WHERE l.worker_id IS NULL AND l.turn_at <= ?1 AND +l.ready_at <= ?1
ORDER BY l.turn_at LIMIT ?2

-- next_ready --
SELECT ready_at FROM lanes WHERE worker_id IS NULL ORDER BY ready_at LIMIT 1

-- current --
SELECT t.id, t.name, t.user_name, t.user_id, t.params, t.state, t.created_at, t.updated_at,
       t.execute_at, t.kind, t.project_id, t.instance_id
FROM lanes l JOIN tasks t ON t.key = l.head WHERE l.lane = ?

-- hurry --
-- scheduled tasks keep their own moment: their lanes are their ids
UPDATE lanes SET ready_at = :now, turn_at = :now
WHERE worker_id IS NULL AND ready_at > :now
  AND EXISTS (SELECT 1 FROM tasks t WHERE t.key = lanes.head AND t.execute_at IS NULL)

-- hurry_tasks --
UPDATE tasks SET due_at = NULL
WHERE state = 'waiting' AND execute_at IS NULL AND due_at > ?

-- put_step --
INSERT INTO steps (task_id, position, name, state, percent, started_at, ended_at, output)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task_id, position) DO UPDATE SET
    state = excluded.state, percent = excluded.percent, ended_at = excluded.ended_at,
    output = excluded.output

-- put_attempt --
INSERT INTO attempts (task_id, epoch, number, worker_id, started_at, ended_at, outcome, step,
                      error, trace)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task_id, epoch) DO UPDATE SET
    ended_at = excluded.ended_at, outcome = excluded.outcome, step = excluded.step,
    error = excluded.error, trace = excluded.trace

-- add_event --
INSERT INTO events (project_id, instance_id, task_id, at, verb, actor, from_state, to_state, step,
                    attempt, detail, sequence, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- chain --
SELECT sequence, hash, open FROM chains WHERE project_id = ?

-- put_chain --
INSERT INTO chains (project_id, sequence, hash, open) VALUES (?, ?, ?, ?)
ON CONFLICT (project_id) DO UPDATE SET
    sequence = excluded.sequence, hash = excluded.hash, open = excluded.open

-- unsealed_events --
SELECT id, project_id, instance_id, task_id, at, verb, actor, from_state, to_state, step, attempt,
       detail
FROM events WHERE sequence IS NULL ORDER BY id

-- seal_event --
UPDATE events SET sequence = ?, hash = ? WHERE id = ?

-- open_tasks --
SELECT project_id, count(*) FROM tasks WHERE state IN ('waiting', 'running') GROUP BY project_id

-- receipt --
SELECT project_id, token, digest, task_id, instance_id, until FROM receipts
WHERE project_id = ? AND token = ? AND until >= ?

-- put_receipt --
INSERT INTO receipts (project_id, token, digest, task_id, instance_id, until)
VALUES (:project_id, :token, :digest, :task_id, :instance_id, :until)
ON CONFLICT (project_id, token) DO UPDATE SET
    digest = excluded.digest, task_id = excluded.task_id, instance_id = excluded.instance_id,
    until = excluded.until
WHERE receipts.until < :now

-- drop_old_receipts --
DELETE FROM receipts WHERE until < ?

-- steps --
SELECT name, position, state, percent, started_at, ended_at, output
FROM steps WHERE task_id = ? ORDER BY position

-- attempts --
SELECT epoch, number, worker_id, started_at, ended_at, outcome, step, error, trace
FROM attempts WHERE task_id = ? ORDER BY epoch

-- events --
SELECT at, verb, actor, from_state, to_state, step, attempt, detail
FROM events WHERE task_id = ? ORDER BY id

-- beat --
INSERT INTO workers (id, beat_at) VALUES (?, ?)
ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at

-- dead_workers --
SELECT DISTINCT t.worker_id FROM tasks t LEFT JOIN workers w ON w.id = t.worker_id
WHERE t.state = 'running' AND (w.beat_at IS NULL OR w.beat_at < ?)
