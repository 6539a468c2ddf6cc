-- live --
-- streams of a project or an instance: as many rows as it has instances
SELECT coalesce(sum(live), 0) FROM streams
WHERE project_id = :project_id AND (:instance_id IS NULL OR instance_id = :instance_id)
  AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))

-- counted_by_index --
-- a range of one index and nothing of the tasks themselves
SELECT count(*) FROM
  (SELECT 1 FROM tasks
   WHERE {range} AND (created_at, key) < (:at, :key) AND created_at >= :created_from
   ORDER BY created_at DESC, key DESC LIMIT :most)

-- counted --
-- {range} and the position are a range of one index, read backwards, :most rows of it and no more
SELECT count(*)
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

-- outcomes --
-- a range of tasks_ended, however many projects there are: a look-up for each end in it
SELECT substr(ended_at, 1, 13), state, count(*) FROM tasks INDEXED BY tasks_ended
WHERE ended_at >= :since AND ended_at < :until AND project_id = :project_id
GROUP BY 1, 2 ORDER BY 1, 2

-- spans --
-- the last of this name that succeeded, of any project: :most look-ups
SELECT started_at, ended_at FROM
  (SELECT project_id, started_at, ended_at FROM tasks
   WHERE name = :name AND state = 'succeeded' ORDER BY ended_at DESC LIMIT :most)
WHERE project_id = :project_id AND started_at IS NOT NULL

-- queues --
-- a look-up for each lane that is not empty: the CROSS JOIN keeps lanes first
SELECT t.instance_id, s.open, t.id, t.name, t.state, t.created_at
FROM lanes l CROSS JOIN tasks t ON t.key = l.head
JOIN streams s ON s.instance_id = t.instance_id AND s.kind = t.kind
WHERE t.project_id = :project_id AND t.kind = 'background' AND l.lane = t.instance_id
ORDER BY t.created_at LIMIT :most

-- workers --
SELECT w.id, w.beat_at,
       (SELECT count(*) FROM tasks t INDEXED BY tasks_running
        WHERE t.state = 'running' AND t.worker_id = w.id AND t.project_id = :project_id),
       (SELECT min(claimed_at) FROM tasks t INDEXED BY tasks_running
        WHERE t.state = 'running' AND t.worker_id = w.id AND t.project_id = :project_id)
FROM workers w ORDER BY w.beat_at DESC LIMIT :most
