-- Moments are the same fixed-width text as on SQLite. Text is compared byte by byte (COLLATE "C")
-- wherever its order counts. What each table is for: ../0001_tasks_instances_accounts.sql.

CREATE TABLE streams (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    instance_id text NOT NULL,
    kind text NOT NULL,
    project_id text NOT NULL,
    first_ordinal bigint NOT NULL,
    last_ordinal bigint NOT NULL,
    last_created_at text COLLATE "C" NOT NULL,
    live bigint NOT NULL,
    open bigint NOT NULL,
    UNIQUE (instance_id, kind)
) WITH (fillfactor = 50);

CREATE TABLE tasks (
    key bigint PRIMARY KEY,
    id text NOT NULL UNIQUE,
    project_id text NOT NULL,
    instance_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    user_id text NOT NULL,
    user_name text NOT NULL,
    params text NOT NULL,
    state text NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    updated_at text COLLATE "C" NOT NULL,
    execute_at text COLLATE "C",
    lane text NOT NULL,
    version bigint NOT NULL,
    epoch bigint NOT NULL,
    attempt bigint NOT NULL,
    worker_id text,
    claimed_at text COLLATE "C",
    due_at text COLLATE "C",
    started_at text COLLATE "C",
    ended_at text COLLATE "C",
    cancel_asked_at text COLLATE "C",
    error_code text,
    error_msg text,
    reason text,
    request_id text,
    parent_id text,
    before text,
    after text,
    internal bytea NOT NULL,
    CHECK ((state = 'running') = (worker_id IS NOT NULL)),
    CHECK (updated_at >= created_at)
) WITH (fillfactor = 80);
CREATE INDEX tasks_by_time ON tasks ((key >> 36), created_at, key);
CREATE INDEX tasks_waiting ON tasks (lane, key) WHERE state = 'waiting';
CREATE INDEX tasks_running ON tasks (worker_id, claimed_at) WHERE state = 'running';
CREATE INDEX tasks_by_project ON tasks (project_id, created_at, key);
CREATE INDEX tasks_by_instance ON tasks (instance_id, created_at, key);
CREATE INDEX tasks_open ON tasks (project_id, created_at, key)
    WHERE state IN ('waiting', 'running');
CREATE INDEX tasks_unwell ON tasks (project_id, created_at, key)
    WHERE state IN ('failed', 'cancelled');
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX tasks_succeeded ON tasks (name, ended_at) WHERE state = 'succeeded';

CREATE TABLE task_counts (
    level bigint NOT NULL,
    block bigint NOT NULL,
    live bigint NOT NULL,
    PRIMARY KEY (level, block)
) WITH (fillfactor = 50);

CREATE TABLE lanes (
    lane text PRIMARY KEY,
    head bigint NOT NULL,
    ready_at text COLLATE "C" NOT NULL,
    worker_id text
) WITH (fillfactor = 50);
CREATE INDEX lanes_ready ON lanes (ready_at) WHERE worker_id IS NULL;

CREATE TABLE steps (
    task_id text NOT NULL,
    position bigint NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    percent bigint NOT NULL,
    started_at text NOT NULL,
    ended_at text,
    output bytea,
    PRIMARY KEY (task_id, position)
);

CREATE TABLE attempts (
    task_id text NOT NULL,
    epoch bigint NOT NULL,
    number bigint NOT NULL,
    worker_id text NOT NULL,
    started_at text NOT NULL,
    ended_at text,
    outcome text,
    step text,
    error text,
    trace text,
    PRIMARY KEY (task_id, epoch)
);

CREATE TABLE chains (
    project_id text COLLATE "C" PRIMARY KEY,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    open bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE events (
    project_id text NOT NULL,
    sequence bigint NOT NULL,
    instance_id text NOT NULL,
    task_id text NOT NULL,
    at text NOT NULL,
    verb text NOT NULL,
    actor text NOT NULL,
    from_state text,
    to_state text,
    step text,
    attempt bigint NOT NULL,
    detail text,
    hash bytea NOT NULL,
    PRIMARY KEY (project_id, sequence)
);
CREATE INDEX events_by_task ON events (task_id, sequence);
CREATE INDEX events_by_instance ON events (instance_id, sequence);

CREATE TABLE receipts (
    project_id text NOT NULL,
    token text NOT NULL,
    digest bytea NOT NULL,
    task_id text NOT NULL,
    instance_id text NOT NULL,
    until text COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, token)
);
CREATE INDEX receipts_by_end ON receipts (until);

CREATE TABLE workers (
    id text PRIMARY KEY,
    beat_at text COLLATE "C" NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE instances (
    id text COLLATE "C" PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    enterprise_project_id text NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    document bytea NOT NULL
);
CREATE INDEX instances_by_time ON instances (project_id, created_at DESC, id DESC);

CREATE TABLE cluster_parts (
    instance_id text NOT NULL,
    part text NOT NULL,
    version bigint NOT NULL,
    document bytea NOT NULL,
    PRIMARY KEY (instance_id, part)
);

CREATE TABLE projects (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL
);

CREATE TABLE users (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    project_id text NOT NULL,
    role text NOT NULL,
    password_hash text
);

CREATE TABLE access_keys (
    access_key text COLLATE "C" PRIMARY KEY,
    sealed_secret bytea NOT NULL,
    project_id text NOT NULL,
    user_id text NOT NULL,
    user_name text NOT NULL,
    role text NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    is_generated bigint NOT NULL,
    token_digest text,
    expires_at text
);

CREATE TABLE tokens (
    digest text PRIMARY KEY,
    project_id text,
    user_id text NOT NULL,
    user_name text NOT NULL,
    role text NOT NULL,
    issued_at text NOT NULL,
    expires_at text COLLATE "C" NOT NULL
);

CREATE TABLE used_signatures (
    digest bytea PRIMARY KEY,
    until text COLLATE "C" NOT NULL
);
CREATE INDEX used_signatures_by_end ON used_signatures (until);

-- One row: something sealed under the key that every process of the deployment must have.
CREATE TABLE deployment (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    sealed bytea NOT NULL
);

-- A caller's refusal: SQLSTATE BR001 takes back all that this caller wrote and nothing else. The
-- message is JSON that store/postgres_writer.py turns into the error.
CREATE FUNCTION backroom_refuse(why jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION SQLSTATE 'BR001' USING MESSAGE = why::text;
END $$;

CREATE FUNCTION backroom_count(task_key bigint, difference bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_counts AS c (level, block, live)
    VALUES (6, task_key >> 6, difference), (12, task_key >> 12, difference),
           (18, task_key >> 18, difference)
    ON CONFLICT (level, block) DO UPDATE SET live = c.live + excluded.live;
END $$;

CREATE FUNCTION backroom_put_receipt(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO receipts AS r
    SELECT * FROM jsonb_populate_record(NULL::receipts, change -> 'receipt')
    ON CONFLICT (project_id, token) DO UPDATE SET
        digest = excluded.digest, task_id = excluded.task_id, instance_id = excluded.instance_id,
        until = excluded.until
    WHERE r.until < (change #>> '{task,created_at}') COLLATE "C";
    IF NOT FOUND THEN
        PERFORM backroom_refuse(jsonb_build_object('token', change #>> '{receipt,token}'));
    END IF;
END $$;

CREATE FUNCTION backroom_add(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
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
        INSERT INTO lanes (lane, head, ready_at) VALUES (task.lane, task.key, ready_at)
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

CREATE FUNCTION backroom_drop(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    task tasks := jsonb_populate_record(NULL::tasks, change -> 'task');
    base bigint;
BEGIN
    DELETE FROM tasks t WHERE t.id = task.id AND t.version = task.version - 1
    RETURNING t.key INTO task.key;
    IF NOT FOUND THEN
        PERFORM backroom_refuse(jsonb_build_object('stale', task.id, 'version', task.version - 1));
    END IF;
    PERFORM backroom_count(task.key, -1);
    base := (task.key >> 36) << 36;
    UPDATE streams s SET live = s.live - 1, first_ordinal = coalesce((
        SELECT t.key FROM tasks t WHERE t.key BETWEEN base AND base + 68719476735
        ORDER BY t.key LIMIT 1) - base, s.last_ordinal + 1)
    WHERE s.id = task.key >> 36;
    DELETE FROM steps WHERE task_id = task.id;
    DELETE FROM attempts WHERE task_id = task.id;
END $$;

-- True when the next task of the lane may be ready by it.
CREATE FUNCTION backroom_move_lane_on(task tasks, now text) RETURNS boolean LANGUAGE plpgsql AS $$
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
        worker_id = NULL
    WHERE l.lane = task.lane;
    RETURN true;
END $$;

-- True when a lane may be ready by it.
CREATE FUNCTION backroom_move(change jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
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
        UPDATE lanes l SET worker_id = task.worker_id
        WHERE l.lane = task.lane AND l.head = task.key
          AND l.worker_id IS DISTINCT FROM task.worker_id;
        RETURN false;
    END IF;
    IF task.state = 'waiting' THEN
        UPDATE lanes l SET worker_id = NULL, ready_at = coalesce(task.due_at, now)
        WHERE l.lane = task.lane AND l.head = task.key;
        RETURN true;
    END IF;
    UPDATE streams s SET open = s.open - 1 WHERE s.id = task.key >> 36;
    RETURN backroom_move_lane_on(task, now);
END $$;

CREATE FUNCTION backroom_put_instance(instance jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    given instances := jsonb_populate_record(NULL::instances, instance);
BEGIN
    IF given.version = 1 THEN
        INSERT INTO instances SELECT given.* ON CONFLICT (id) DO NOTHING;
    ELSE
        UPDATE instances i SET name = given.name, status = given.status,
            enterprise_project_id = given.enterprise_project_id, version = given.version,
            document = given.document
        WHERE i.id = given.id AND i.version = given.version - 1;
    END IF;
    IF NOT FOUND THEN
        PERFORM backroom_refuse(jsonb_build_object(
            'stale', given.id, 'version', given.version - 1));
    END IF;
END $$;

-- All of one change but its event. True when a lane may be ready by it.
CREATE FUNCTION backroom_change(change jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    is_ready boolean := false;
BEGIN
    CASE change ->> 'act'
        WHEN 'add' THEN PERFORM backroom_add(change); is_ready := true;
        WHEN 'move' THEN is_ready := backroom_move(change);
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
    RETURN is_ready;
END $$;

-- Gives events their places in one project's chain, whose row stays locked until the commit: so
-- the order of sequence is the order of commit. Returns the callers that would take the project
-- over its limit; where there are any, all must be taken back.
CREATE FUNCTION backroom_seal(project text, added jsonb[]) RETURNS integer[]
LANGUAGE plpgsql AS $$
DECLARE
    refused integer[] := '{}';
    chain chains;
    event events;
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
        event := jsonb_populate_record(NULL::events, one);
        chain.sequence := chain.sequence + 1;
        chain.hash := sha256(chain.hash || event.hash);
        event.sequence := chain.sequence;
        event.hash := chain.hash;
        INSERT INTO events SELECT event.*;
    END LOOP;
    UPDATE chains c SET sequence = chain.sequence, hash = chain.hash, open = chain.open
    WHERE c.project_id = project;
    RETURN refused;
END $$;

-- Writes what several callers want, each all or nothing. Every lock is taken in the same order by
-- everybody: streams, lanes, tasks, instances, chains. Returns for each caller NULL or why it was
-- refused; SQLSTATE BR002 names callers over a project's limit, to be left out of another go.
CREATE FUNCTION backroom_write(
    callers jsonb[], ended_or_added jsonb, moved_lanes text[],
    OUT refusals text[], OUT is_ready boolean
) LANGUAGE plpgsql AS $$
DECLARE
    added jsonb[] := '{}';
    over integer[] := '{}';
    of_caller jsonb[];
    caller_is_ready boolean;
    change jsonb;
    project text;
BEGIN
    refusals := array_fill(NULL::text, ARRAY[cardinality(callers)]);
    is_ready := false;
    PERFORM 1 FROM streams s
    WHERE (s.instance_id, s.kind) IN (
        SELECT w ->> 0, w ->> 1 FROM jsonb_array_elements(ended_or_added) w)
    ORDER BY s.id FOR UPDATE;
    PERFORM 1 FROM lanes l WHERE l.lane = ANY (moved_lanes) ORDER BY l.lane FOR UPDATE;
    FOR number IN 1 .. cardinality(callers) LOOP
        BEGIN
            of_caller := '{}';
            caller_is_ready := false;
            FOR change IN SELECT value FROM jsonb_array_elements(callers[number]) LOOP
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
    FOR project IN
        SELECT DISTINCT (one ->> 'project_id') COLLATE "C" FROM unnest(added) one ORDER BY 1
    LOOP
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

-- Locks lanes that are ready, oldest first, and says that this worker lives. The tasks are read
-- by a statement after the locks, so they are as last written.
CREATE FUNCTION backroom_take(worker text, now text, most integer) RETURNS SETOF tasks
LANGUAGE plpgsql AS $$
DECLARE
    heads bigint[];
BEGIN
    heads := ARRAY(
        SELECT l.head FROM lanes l WHERE l.worker_id IS NULL AND l.ready_at <= now COLLATE "C"
        ORDER BY l.ready_at LIMIT most FOR UPDATE SKIP LOCKED);
    IF cardinality(heads) > 0 THEN
        INSERT INTO workers VALUES (worker, now)
        ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at;
    END IF;
    RETURN QUERY
        SELECT t.* FROM unnest(heads) WITH ORDINALITY h (head, place)
        JOIN tasks t ON t.key = h.head ORDER BY h.place;
END $$;
