-- Whose turn it is: the lane with the least turn_at. As ready_at; less a minute for a lane that had
-- nothing to do. And what is written takes no more statements than it needs: each costs some 20 us,
-- whatever it does (docs/adr/0021).
ALTER TABLE lanes ADD COLUMN turn_at text COLLATE "C";
UPDATE lanes SET turn_at = ready_at;
ALTER TABLE lanes ALTER COLUMN turn_at SET NOT NULL;
CREATE INDEX lanes_turn ON lanes (turn_at) WHERE worker_id IS NULL;

CREATE OR REPLACE FUNCTION backroom_add(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    task tasks := jsonb_populate_record(NULL::tasks, change -> 'task');
    ready_at text := coalesce(task.due_at, task.created_at);
    stream streams;
BEGIN
    IF change ? 'receipt' THEN
        PERFORM backroom_put_receipt(change);
    END IF;
    -- an identity is used up by an insert that turns into an update: keys have room for 2^27
    UPDATE streams s SET last_ordinal = s.last_ordinal + 1, live = s.live + 1, open = s.open + 1,
        last_created_at = greatest(s.last_created_at, task.created_at)
    WHERE s.instance_id = task.instance_id AND s.kind = task.kind RETURNING s.* INTO stream;
    IF NOT FOUND THEN
        INSERT INTO streams AS s (instance_id, kind, project_id, first_ordinal, last_ordinal,
                                  last_created_at, live, open)
        VALUES (task.instance_id, task.kind, task.project_id, 1, 1, task.created_at, 1, 1)
        ON CONFLICT (instance_id, kind) DO UPDATE SET
            last_ordinal = s.last_ordinal + 1, live = s.live + 1, open = s.open + 1,
            last_created_at = greatest(s.last_created_at, excluded.last_created_at)
        RETURNING s.* INTO stream;
    END IF;
    IF stream.open > (change #>> '{limits,instance}')::bigint THEN
        PERFORM backroom_refuse(jsonb_build_object(
            'quota', 'instance', 'limit', change #> '{limits,instance}'));
    END IF;
    task.key := (stream.id << 36) + stream.last_ordinal;
    task.created_at := stream.last_created_at;
    task.updated_at := greatest(task.updated_at, task.created_at);
    LOOP  -- a lane that is there is locked: it must not be dropped before the task is seen in it
        INSERT INTO lanes (lane, head, ready_at, turn_at)
        VALUES (task.lane, task.key, ready_at, coalesce(change #>> '{task,turn_at}', ready_at))
        ON CONFLICT (lane) DO NOTHING;
        EXIT WHEN FOUND;
        PERFORM 1 FROM lanes l WHERE l.lane = task.lane FOR UPDATE;
        EXIT WHEN FOUND;
    END LOOP;
    INSERT INTO tasks SELECT task.* ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        PERFORM backroom_refuse(jsonb_build_object('stale', task.id, 'version', 0));
    END IF;
    PERFORM backroom_count(task.key, 1);
END $$;

CREATE OR REPLACE FUNCTION backroom_move_lane_on(task tasks, now text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    following tasks;
BEGIN
    PERFORM 1 FROM lanes l WHERE l.lane = task.lane AND l.head = task.key FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;  -- it ended while it queued behind another
    END IF;
    SELECT * INTO following FROM tasks t WHERE t.state = 'waiting' AND t.lane = task.lane
    ORDER BY t.key LIMIT 1;
    IF NOT FOUND THEN
        DELETE FROM lanes l WHERE l.lane = task.lane;
        RETURN false;
    END IF;
    UPDATE lanes l SET head = following.key, ready_at = coalesce(following.due_at, now),
        turn_at = coalesce(following.due_at, now), worker_id = NULL
    WHERE l.lane = task.lane;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION backroom_move(change jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    task tasks := jsonb_populate_record(NULL::tasks, change -> 'task');
    now text := change #>> '{event,at}';
BEGIN
    UPDATE tasks t SET state = task.state, updated_at = task.updated_at,
        execute_at = task.execute_at, version = task.version, epoch = task.epoch,
        attempt = task.attempt, worker_id = task.worker_id, claimed_at = task.claimed_at,
        due_at = task.due_at, started_at = task.started_at, ended_at = task.ended_at,
        cancel_asked_at = task.cancel_asked_at, error_code = task.error_code,
        error_msg = task.error_msg, after = task.after
    WHERE t.id = task.id AND t.version = task.version - 1
    RETURNING t.key INTO task.key;
    IF NOT FOUND THEN
        PERFORM backroom_refuse(jsonb_build_object('stale', task.id, 'version', task.version - 1));
    END IF;
    IF task.state = 'running' THEN
        IF change #>> '{event,from_state}' <> 'running' THEN
            UPDATE lanes l SET worker_id = task.worker_id
            WHERE l.lane = task.lane AND l.head = task.key;
        END IF;
        RETURN false;
    END IF;
    IF task.state = 'waiting' THEN
        UPDATE lanes l SET worker_id = NULL, ready_at = coalesce(task.due_at, now),
            turn_at = coalesce(task.due_at, now)
        WHERE l.lane = task.lane AND l.head = task.key;
        RETURN true;
    END IF;
    UPDATE streams s SET open = s.open - 1 WHERE s.id = task.key >> 36;
    RETURN backroom_move_lane_on(task, now);
END $$;

CREATE OR REPLACE FUNCTION backroom_seal(project text, added jsonb[]) RETURNS integer[]
LANGUAGE plpgsql AS $$
DECLARE
    refused integer[] := '{}';
    chain chains;
    mine jsonb[] := '{}';
    hashes bytea[] := '{}';
    one jsonb;
BEGIN
    SELECT * INTO chain FROM chains c WHERE c.project_id = project FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO chains VALUES (project, 0, decode(repeat('00', 32), 'hex'), 0)
        ON CONFLICT (project_id) DO NOTHING;
        SELECT * INTO chain FROM chains c WHERE c.project_id = project FOR UPDATE;
    END IF;
    FOREACH one IN ARRAY added LOOP
        CONTINUE WHEN one ->> 'project_id' <> project;
        chain.open := chain.open + (one ->> 'opens')::bigint;
        IF chain.open > (one ->> 'limit')::bigint THEN
            refused := refused || (one ->> 'caller')::integer;
            chain.open := chain.open - 1;
        END IF;
        chain.hash := sha256(chain.hash || (one ->> 'hash')::bytea);
        mine := array_append(mine, one);
        hashes := array_append(hashes, chain.hash);
    END LOOP;
    INSERT INTO events (project_id, sequence, instance_id, task_id, at, verb, actor, from_state,
                        to_state, step, attempt, detail, hash)
    SELECT e.project_id, chain.sequence + m.place, e.instance_id, e.task_id, e.at, e.verb, e.actor,
        e.from_state, e.to_state, e.step, e.attempt, e.detail, hashes[m.place]
    FROM unnest(mine) WITH ORDINALITY m (one, place)
    CROSS JOIN LATERAL jsonb_populate_record(NULL::events, m.one) e;
    UPDATE chains c SET sequence = chain.sequence + cardinality(mine), hash = chain.hash,
        open = chain.open
    WHERE c.project_id = project;
    RETURN refused;
END $$;

CREATE OR REPLACE FUNCTION backroom_write(
    callers jsonb[], ended_or_added jsonb, moved_lanes text[],
    OUT refusals text[], OUT is_ready boolean
) LANGUAGE plpgsql AS $$
DECLARE
    added jsonb[] := '{}';
    over integer[] := '{}';
    projects text[] := '{}';
    of_caller jsonb[];
    caller_is_ready boolean;
    wanted jsonb;
    change jsonb;
    project text;
BEGIN
    refusals := array_fill(NULL::text, ARRAY[cardinality(callers)]);
    is_ready := false;
    IF ended_or_added <> '[]' THEN
        PERFORM 1 FROM streams s
        WHERE (s.instance_id, s.kind) IN (
            SELECT w ->> 0, w ->> 1 FROM jsonb_array_elements(ended_or_added) w)
        ORDER BY s.id FOR UPDATE;
    END IF;
    IF moved_lanes <> '{}' THEN
        PERFORM 1 FROM lanes l WHERE l.lane = ANY (moved_lanes) ORDER BY l.lane FOR UPDATE;
    END IF;
    FOR number IN 1 .. cardinality(callers) LOOP
        BEGIN
            of_caller := '{}';
            caller_is_ready := false;
            wanted := callers[number];
            FOR place IN 0 .. jsonb_array_length(wanted) - 1 LOOP
                change := wanted -> place;
                caller_is_ready := backroom_change(change) OR caller_is_ready;
                of_caller := array_append(
                    of_caller, (change -> 'event') || jsonb_build_object('caller', number));
            END LOOP;
            added := added || of_caller;
            is_ready := is_ready OR caller_is_ready;
        EXCEPTION WHEN SQLSTATE 'BR001' THEN
            refusals[number] := SQLERRM;
        END;
    END LOOP;
    FOREACH change IN ARRAY added LOOP
        project := change ->> 'project_id';
        IF project <> ALL (projects) THEN
            projects := array_append(projects, project);
        END IF;
    END LOOP;
    IF cardinality(projects) > 1 THEN  -- locked in everybody's order
        projects := ARRAY(SELECT one COLLATE "C" FROM unnest(projects) one ORDER BY 1);
    END IF;
    FOREACH project IN ARRAY projects LOOP
        over := over || backroom_seal(project, added);
        PERFORM pg_notify('backroom_events', project);
    END LOOP;
    IF cardinality(over) > 0 THEN
        RAISE EXCEPTION SQLSTATE 'BR002' USING MESSAGE = to_json(over)::text;
    END IF;
    IF is_ready THEN
        PERFORM pg_notify('backroom_ready', '');
    END IF;
END $$;

-- Writes claims of lanes that looked ready, if nobody else is at any of them; else nothing, and
-- refusals is NULL. A claim is a beat.
CREATE FUNCTION backroom_claim(
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
    INSERT INTO workers VALUES (worker, now)
    ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at;
    SELECT w.refusals, w.is_ready INTO refusals, is_ready
    FROM backroom_write(callers, '[]', '{}') w;
END $$;

CREATE OR REPLACE FUNCTION backroom_take(worker text, now text, most integer) RETURNS SETOF tasks
LANGUAGE plpgsql AS $$
DECLARE
    heads bigint[];
BEGIN
    heads := ARRAY(
        SELECT l.head FROM lanes l WHERE l.worker_id IS NULL AND l.turn_at <= now COLLATE "C"
          AND l.ready_at <= now COLLATE "C"
        ORDER BY l.turn_at LIMIT most FOR UPDATE SKIP LOCKED);
    IF cardinality(heads) > 0 THEN
        INSERT INTO workers VALUES (worker, now)
        ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at;
    END IF;
    RETURN QUERY
        SELECT t.* FROM unnest(heads) WITH ORDINALITY h (head, place)
        JOIN tasks t ON t.key = h.head ORDER BY h.place;
END $$;
