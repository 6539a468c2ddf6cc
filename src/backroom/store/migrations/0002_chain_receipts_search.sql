-- Each event has its place and hash in its project's chain; the events of schema 1 get theirs
-- from store/connection.py, because SQLite has no SHA-256.
ALTER TABLE events ADD COLUMN sequence INTEGER;
ALTER TABLE events ADD COLUMN hash BLOB;
CREATE UNIQUE INDEX events_by_sequence ON events (project_id, sequence);
CREATE INDEX events_by_instance ON events (instance_id, sequence);

-- `open` counts the project's tasks that have not ended.
CREATE TABLE chains (
    project_id TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL,
    open INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Tasks of the stream that have not ended.
ALTER TABLE streams ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
UPDATE streams SET open = (
    SELECT count(*) FROM tasks
    WHERE key BETWEEN streams.id * 68719476736 AND (streams.id + 1) * 68719476736 - 1
      AND state IN ('waiting', 'running'));

ALTER TABLE tasks ADD COLUMN before TEXT;
ALTER TABLE tasks ADD COLUMN after TEXT;

CREATE TABLE receipts (
    project_id TEXT NOT NULL,
    token TEXT NOT NULL,
    digest BLOB NOT NULL,
    task_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    until TEXT NOT NULL,
    PRIMARY KEY (project_id, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_by_end ON receipts (until);

CREATE INDEX tasks_by_project ON tasks (project_id, created_at, key);
CREATE INDEX tasks_by_instance ON tasks (instance_id, created_at, key);
CREATE INDEX tasks_open ON tasks (project_id, created_at, key)
    WHERE state IN ('waiting', 'running');
CREATE INDEX tasks_unwell ON tasks (project_id, created_at, key)
    WHERE state IN ('failed', 'cancelled');
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX tasks_succeeded ON tasks (name, ended_at) WHERE state = 'succeeded';

-- A platform keeps several documents of a cluster, so that a change of a topic and a restart of
-- a broker don't meet.
CREATE TABLE cluster_parts (
    instance_id TEXT NOT NULL,
    part TEXT NOT NULL,
    version INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (instance_id, part)
) STRICT;
INSERT INTO cluster_parts SELECT instance_id, 'brokers', version, document FROM clusters;
DROP TABLE clusters;
