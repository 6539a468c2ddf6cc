-- live --
-- streams of a project or an instance: as many rows as it has instances
SELECT coalesce(sum(live), 0)::bigint FROM streams
WHERE project_id = $1 AND ($2::text IS NULL OR instance_id = $2)
  AND ($3::text[] IS NULL OR kind = ANY ($3))

-- counted_by_index --
-- a range of one index and nothing of the tasks themselves
SELECT count(*) FROM
  (SELECT FROM tasks
   WHERE {range} AND (created_at, key) < ($2, $3) AND created_at >= $4
   ORDER BY created_at DESC, key DESC LIMIT $5) looked

-- counted --
-- {range} and the position are a range of one index, read backwards, $5 rows of it and no more
SELECT count(*)
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

-- outcomes --
-- a range of tasks_ended, however many projects there are: a look-up for each end in it
SELECT substr(ended_at, 1, 13), state, count(*) FROM tasks
WHERE ended_at >= $1 AND ended_at < $2 AND project_id = $3
GROUP BY 1, 2 ORDER BY 1, 2

-- spans --
-- the last of this name that succeeded, of any project: $2 look-ups
SELECT started_at, ended_at FROM
  (SELECT project_id, started_at, ended_at FROM tasks
   WHERE name = $1 AND state = 'succeeded' ORDER BY ended_at DESC LIMIT $2) last
WHERE project_id = $3 AND started_at IS NOT NULL

-- queues --
-- a look-up for each lane that is not empty
SELECT t.instance_id, s.open, t.id, t.name, t.state, t.created_at
FROM lanes l JOIN tasks t ON t.key = l.head
JOIN streams s ON s.instance_id = t.instance_id AND s.kind = t.kind
WHERE t.project_id = $1 AND t.kind = 'background' AND l.lane = t.instance_id
ORDER BY t.created_at LIMIT $2

-- workers --
SELECT w.id, w.beat_at,
       (SELECT count(*) FROM tasks t
        WHERE t.state = 'running' AND t.worker_id = w.id AND t.project_id = $1),
       (SELECT min(claimed_at) FROM tasks t
        WHERE t.state = 'running' AND t.worker_id = w.id AND t.project_id = $1)
FROM workers w ORDER BY w.beat_at DESC LIMIT $2
