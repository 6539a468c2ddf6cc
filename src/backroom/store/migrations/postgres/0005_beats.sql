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
