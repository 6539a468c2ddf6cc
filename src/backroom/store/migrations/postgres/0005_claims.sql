-- As before, but its beat is written once a second only: a worker has several claims at a time, and
-- they would wait for each other's commit at its row.
CREATE OR REPLACE FUNCTION backroom_claim(
    worker text, now text, callers jsonb[], claimed_lanes text[],
    OUT refusals text[], OUT is_ready boolean
) LANGUAGE plpgsql AS $$
DECLARE
    locked text[] := ARRAY(
        SELECT l.lane FROM lanes l WHERE l.lane = ANY (claimed_lanes) AND l.worker_id IS NULL
        ORDER BY l.lane FOR UPDATE SKIP LOCKED);
BEGIN
    IF cardinality(locked) < cardinality(claimed_lanes) THEN
        RETURN;
    END IF;
    PERFORM 1 FROM workers w WHERE w.id = worker AND left(w.beat_at, 19) = left(now, 19);
    IF NOT FOUND THEN
        INSERT INTO workers VALUES (worker, now)
        ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at;
    END IF;
    SELECT w.refusals, w.is_ready INTO refusals, is_ready
    FROM backroom_write(callers, '[]', '{}', false) w;
END $$;

-- As before, but no scheduled task is claimed by a forged notice: that it has a moment is not seen
-- in its row any more, since the claim of a task that was not looked at leaves none there.
CREATE OR REPLACE FUNCTION backroom_claim_unseen(worker text, now text, claim jsonb)
RETURNS SETOF tasks LANGUAGE plpgsql AS $$
DECLARE
    change jsonb := claim -> 0;
    claimed_lanes text[] := ARRAY[change #>> '{task,lane}'];
BEGIN
    IF (SELECT c.refusals IS NULL
        FROM backroom_claim(worker, now, ARRAY[claim], claimed_lanes) c)
    THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT t.* FROM lanes l JOIN tasks t ON t.key = l.head
        WHERE l.lane = claimed_lanes[1] AND t.lane = l.lane AND l.worker_id = worker
          AND t.id = change #>> '{task,id}'
          AND t.project_id = change #>> '{event,project_id}'
          AND t.instance_id = change #>> '{event,instance_id}'
          AND t.version = 2 AND t.epoch = 1 AND t.attempt = 1 AND t.kind <> 'scheduled'
          AND t.updated_at = greatest(t.created_at, now COLLATE "C");
    IF NOT FOUND THEN
        PERFORM backroom_refuse(jsonb_build_object(
            'stale', change #>> '{task,id}', 'version', 1));
    END IF;
END $$;
