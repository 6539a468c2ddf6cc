-- Whose turn it is: the lane with the least turn_at. As ready_at; less a minute for a lane that had
-- nothing to do (docs/adr/0021).
ALTER TABLE lanes ADD COLUMN turn_at TEXT NOT NULL DEFAULT '';
UPDATE lanes SET turn_at = ready_at;
CREATE INDEX lanes_turn ON lanes (turn_at) WHERE worker_id IS NULL;
