-- Times are fixed-width ISO-8601 UTC text with milliseconds, so that text order is time order.

-- One stream per instance and kind; tasks in it are numbered in the order they were submitted.
-- first_ordinal to last_ordinal spans those that are left: as many as live if none is missing.
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    project_id TEXT NOT NULL,
    first_ordinal INTEGER NOT NULL,
    last_ordinal INTEGER NOT NULL,
    last_created_at TEXT NOT NULL,
    live INTEGER NOT NULL,
    UNIQUE (instance_id, kind)
) STRICT;

-- key = stream * 2^36 + ordinal: a list is one range, a rank is a sum over blocks of keys.
-- What v2 shows comes first, so that showing a task reads the front of one page.
CREATE TABLE tasks (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    params TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    execute_at TEXT,
    lane TEXT NOT NULL,
    version INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    worker_id TEXT,
    claimed_at TEXT,
    due_at TEXT,
    started_at TEXT,
    ended_at TEXT,
    cancel_asked_at TEXT,
    error_code TEXT,
    error_msg TEXT,
    reason TEXT,
    request_id TEXT,
    parent_id TEXT,
    internal BLOB NOT NULL,
    CHECK ((state = 'running') = (worker_id IS NOT NULL)),
    CHECK (updated_at >= created_at)
) STRICT;
CREATE INDEX tasks_by_time ON tasks (key / 68719476736, created_at);
CREATE INDEX tasks_waiting ON tasks (lane, key) WHERE state = 'waiting';
CREATE INDEX tasks_running ON tasks (worker_id, claimed_at) WHERE state = 'running';

-- How many tasks live in each block of 2^6, 2^12 and 2^18 keys: exact totals and any depth of a
-- list without counting rows.
CREATE TABLE task_counts (
    level INTEGER NOT NULL,
    block INTEGER NOT NULL,
    live INTEGER NOT NULL,
    PRIMARY KEY (level, block)
) STRICT, WITHOUT ROWID;

-- A lane holds the head of one queue; a worker takes lanes, not tasks.
CREATE TABLE lanes (
    lane TEXT PRIMARY KEY,
    head INTEGER NOT NULL,
    ready_at TEXT NOT NULL,
    worker_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_ready ON lanes (ready_at) WHERE worker_id IS NULL;

CREATE TABLE steps (
    task_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    percent INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    output BLOB,
    PRIMARY KEY (task_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    task_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    worker_id TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT,
    step TEXT,
    error TEXT,
    trace TEXT,
    PRIMARY KEY (task_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    project_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    at TEXT NOT NULL,
    verb TEXT NOT NULL,
    actor TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT,
    step TEXT,
    attempt INTEGER NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX events_by_task ON events (task_id, id);

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    beat_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    enterprise_project_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    document BLOB NOT NULL
) STRICT;
CREATE INDEX instances_by_time ON instances (project_id, created_at DESC, id DESC);

CREATE TABLE clusters (
    instance_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    document BLOB NOT NULL
) STRICT;

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT
) STRICT;

CREATE TABLE access_keys (
    access_key TEXT PRIMARY KEY,
    sealed_secret BLOB NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at TEXT NOT NULL,
    is_generated INTEGER NOT NULL,
    token_digest TEXT,
    expires_at TEXT
) STRICT;

CREATE TABLE tokens (
    digest TEXT PRIMARY KEY,
    project_id TEXT,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    role TEXT NOT NULL,
    issued_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE used_signatures (
    digest BLOB PRIMARY KEY,
    until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_signatures_by_end ON used_signatures (until);
