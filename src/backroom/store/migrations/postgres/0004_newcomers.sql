-- A task that comes alone, on a lane that had nothing to do, and whose turn it is: the notification
-- has what a worker needs to claim it without looking first (docs/adr/0027). And one change alone
-- takes fewer statements, and nobody a subtransaction where nobody is refused.
DROP FUNCTION backroom_write;
DROP FUNCTION backroom_change;
DROP FUNCTION backroom_add;

-- Of a newcomer returns what a claim is made of, as a JSON array; else an empty text. Nothing that
-- somebody said is in it: whoever may connect may listen.
CREATE FUNCTION backroom_add(change jsonb, is_alone boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    task tasks := jsonb_populate_record(NULL::tasks, change -> 'task');
    ready_at text := coalesce(task.due_at, task.created_at);
    first_turn text := coalesce(change #>> '{task,turn_at}', ready_at);
    stream streams;
    is_new boolean := false;
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
        VALUES (task.lane, task.key, ready_at, first_turn)
        ON CONFLICT (lane) DO NOTHING;
        is_new := FOUND;
        EXIT WHEN is_new;
        PERFORM 1 FROM lanes l WHERE l.lane = task.lane FOR UPDATE;
        EXIT WHEN FOUND;
    END LOOP;
    INSERT INTO tasks SELECT task.* ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        PERFORM backroom_refuse(jsonb_build_object('stale', task.id, 'version', 0));
    END IF;
    PERFORM backroom_count(task.key, 1);
    IF is_alone AND is_new AND coalesce(task.due_at, task.execute_at) IS NULL AND NOT EXISTS (
        SELECT 1 FROM lanes l WHERE l.worker_id IS NULL AND l.turn_at < first_turn)
    THEN
        RETURN json_build_array(
            task.id, task.project_id, task.instance_id, task.lane, task.created_at);
    END IF;
    RETURN '';
END $$;

-- All of one change but its event. NULL: no lane is ready by it; else as backroom_add.
CREATE FUNCTION backroom_change(change jsonb, is_alone boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ready text;
BEGIN
    CASE change ->> 'act'
        WHEN 'add' THEN ready := backroom_add(change, is_alone);
        WHEN 'move' THEN IF backroom_move(change) THEN ready := ''; END IF;
        WHEN 'drop' THEN PERFORM backroom_drop(change);
    END CASE;
    IF change ? 'steps' THEN
        INSERT INTO steps SELECT * FROM jsonb_populate_recordset(NULL::steps, change -> 'steps')
        ON CONFLICT (task_id, position) DO UPDATE SET
            state = excluded.state, percent = excluded.percent, ended_at = excluded.ended_at,
            output = excluded.output;
    END IF;
    IF change ? 'attempt' THEN
        INSERT INTO attempts
        SELECT * FROM jsonb_populate_record(NULL::attempts, change -> 'attempt')
        ON CONFLICT (task_id, epoch) DO UPDATE SET
            ended_at = excluded.ended_at, outcome = excluded.outcome, step = excluded.step,
            error = excluded.error, trace = excluded.trace;
    END IF;
    IF change ? 'instance' THEN
        PERFORM backroom_put_instance(change -> 'instance');
    END IF;
    RETURN ready;
END $$;

CREATE OR REPLACE FUNCTION backroom_seal(project text, added jsonb[]) RETURNS integer[]
LANGUAGE plpgsql AS $$
DECLARE
    refused integer[] := '{}';
    chain chains;
    mine jsonb[] := '{}';
    hashes bytea[] := '{}';
    one jsonb := added[1];
BEGIN
    IF cardinality(added) = 1 THEN  -- as below, with a statement less
        UPDATE chains c SET sequence = c.sequence + 1,
            hash = sha256(c.hash || (one ->> 'hash')::bytea),
            open = c.open + (one ->> 'opens')::bigint
        WHERE c.project_id = project RETURNING c.* INTO chain;
        IF chain.open > (one ->> 'limit')::bigint THEN
            RETURN ARRAY[(one ->> 'caller')::integer];
        ELSIF FOUND THEN
            INSERT INTO events (project_id, sequence, instance_id, task_id, at, verb, actor,
                                from_state, to_state, step, attempt, detail, hash)
            SELECT e.project_id, chain.sequence, e.instance_id, e.task_id, e.at, e.verb, e.actor,
                e.from_state, e.to_state, e.step, e.attempt, e.detail, chain.hash
            FROM jsonb_populate_record(NULL::events, one) e;
            RETURN refused;
        END IF;
    END IF;
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

CREATE FUNCTION backroom_lock(ended_or_added jsonb, moved_lanes text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF ended_or_added <> '[]' THEN
        PERFORM 1 FROM streams s
        WHERE (s.instance_id, s.kind) IN (
            SELECT w ->> 0, w ->> 1 FROM jsonb_array_elements(ended_or_added) w)
        ORDER BY s.id FOR UPDATE;
    END IF;
    IF moved_lanes <> '{}' THEN
        PERFORM 1 FROM lanes l WHERE l.lane = ANY (moved_lanes) ORDER BY l.lane FOR UPDATE;
    END IF;
END $$;

-- What one caller wants. `ready` as of backroom_change; of several changes that of any.
CREATE FUNCTION backroom_piece(
    changes jsonb, caller integer, is_alone boolean, OUT added jsonb[], OUT ready text
) LANGUAGE plpgsql AS $$
DECLARE
    change jsonb;
BEGIN
    added := '{}';
    FOR place IN 0 .. jsonb_array_length(changes) - 1 LOOP
        change := changes -> place;
        ready := coalesce(backroom_change(change, is_alone), ready);
        added := array_append(
            added, (change -> 'event') || jsonb_build_object('caller', caller));
    END LOOP;
END $$;

-- Writes what several callers want, all of it or nothing: SQLSTATE BR001 says why somebody is
-- refused. `is_apart`: each all or nothing; then `refusals` has for each caller NULL or why. That
-- takes a subtransaction each, so it is for a group that was refused. Every lock is taken in the
-- same order by everybody: streams, lanes, tasks, instances, chains. BR002 names callers over a
-- project's limit, to be left out of another go. `newcomer`: as of backroom_add.
CREATE FUNCTION backroom_write(
    callers jsonb[], ended_or_added jsonb, moved_lanes text[], is_apart boolean,
    OUT refusals text[], OUT is_ready boolean, OUT newcomer text
) LANGUAGE plpgsql AS $$
DECLARE
    is_alone boolean := cardinality(callers) = 1 AND jsonb_array_length(callers[1]) = 1;
    added jsonb[] := '{}';
    over integer[] := '{}';
    projects text[] := '{}';
    piece record;
    change jsonb;
    project text;
BEGIN
    refusals := array_fill(NULL::text, ARRAY[cardinality(callers)]);
    -- one that is added alone takes its locks in this order by itself, but for a receipt's
    IF NOT is_alone OR callers[1] #>> '{0,act}' <> 'add' OR callers[1] -> 0 ? 'receipt' THEN
        PERFORM backroom_lock(ended_or_added, moved_lanes);
    END IF;
    FOR number IN 1 .. cardinality(callers) LOOP
        IF is_apart THEN
            BEGIN
                piece := backroom_piece(callers[number], number, is_alone);
            EXCEPTION WHEN SQLSTATE 'BR001' THEN
                refusals[number] := SQLERRM;
                CONTINUE;
            END;
        ELSE
            piece := backroom_piece(callers[number], number, is_alone);
        END IF;
        added := added || piece.added;
        newcomer := coalesce(piece.ready, newcomer);
    END LOOP;
    is_ready := newcomer IS NOT NULL;
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
        PERFORM pg_notify('backroom_ready', newcomer);
    END IF;
END $$;

-- Writes claims of lanes that looked ready, if nobody else is at any of them; else nothing, and
-- refusals is NULL; BR001 where a task isn't as it looked. A claim is a beat.
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
    INSERT INTO workers VALUES (worker, now)
    ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at;
    SELECT w.refusals, w.is_ready INTO refusals, is_ready
    FROM backroom_write(callers, '[]', '{}', false) w;
END $$;

-- Claims a newcomer that was not looked at: its row as it is then, or none where it was taken.
-- Whoever may connect may notify, too: a claim stands only where it is of a new task at the head of
-- its lane. Else BR001.
CREATE FUNCTION backroom_claim_unseen(worker text, now text, claim jsonb) RETURNS SETOF tasks
LANGUAGE plpgsql AS $$
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
          AND t.version = 2 AND t.epoch = 1 AND t.attempt = 1 AND t.execute_at IS NULL
          AND t.updated_at = greatest(t.created_at, now COLLATE "C");
    IF NOT FOUND THEN
        PERFORM backroom_refuse(jsonb_build_object(
            'stale', change #>> '{task,id}', 'version', 1));
    END IF;
END $$;

-- True when the next task of the lane may be ready by it. The lane is locked.
CREATE OR REPLACE FUNCTION backroom_move_lane_on(task tasks, now text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    following tasks;
BEGIN
    SELECT * INTO following FROM tasks t WHERE t.state = 'waiting' AND t.lane = task.lane
    ORDER BY t.key LIMIT 1;
    IF NOT FOUND THEN
        DELETE FROM lanes l WHERE l.lane = task.lane AND l.head = task.key;
        RETURN false;
    END IF;
    UPDATE lanes l SET head = following.key, ready_at = coalesce(following.due_at, now),
        turn_at = coalesce(following.due_at, now), worker_id = NULL
    WHERE l.lane = task.lane AND l.head = task.key;
    RETURN FOUND;  -- else it ended while it queued behind another
END $$;

-- Room in each page for the next version of a row, so that a step's record touches no index.
ALTER TABLE tasks SET (fillfactor = 60);
