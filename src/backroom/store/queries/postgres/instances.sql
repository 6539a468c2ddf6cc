-- instances --
-- a probe of the primary key and a row for each
SELECT id, project_id, document FROM instances WHERE id = ANY ($1)

-- matching --
SELECT document FROM instances
WHERE project_id = $1
  AND ($2::text IS NULL OR CASE WHEN $3 THEN name = $2 ELSE strpos(name, $2) > 0 END)
  AND ($4::text IS NULL OR id = $4)
  AND ($5::text IS NULL OR status = $5)
  AND ($6::text IS NULL OR enterprise_project_id = $6)
  AND ($7 OR status <> 'CREATEFAILED')
ORDER BY created_at DESC, id DESC LIMIT $8 OFFSET $9

-- matching_count --
SELECT count(*) FROM instances
WHERE project_id = $1
  AND ($2::text IS NULL OR CASE WHEN $3 THEN name = $2 ELSE strpos(name, $2) > 0 END)
  AND ($4::text IS NULL OR id = $4)
  AND ($5::text IS NULL OR status = $5)
  AND ($6::text IS NULL OR enterprise_project_id = $6)
  AND ($7 OR status <> 'CREATEFAILED')

-- insert_instance --
INSERT INTO instances (id, project_id, name, status, enterprise_project_id, created_at, version,
                       document)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING

-- update_instance --
UPDATE instances SET name = $1, status = $2, enterprise_project_id = $3, version = $4, document = $5
WHERE id = $6 AND version = $7

-- delete_instance --
DELETE FROM instances WHERE id = $1

-- clusters --
-- a probe of the primary key and a row for each
SELECT instance_id, part, document, version FROM cluster_parts
WHERE (instance_id, part) IN (SELECT * FROM unnest($1::text[], $2::text[]))

-- insert_cluster --
INSERT INTO cluster_parts (instance_id, part, version, document) VALUES ($1, $2, $3, $4)
ON CONFLICT (instance_id, part) DO NOTHING

-- update_cluster --
UPDATE cluster_parts SET version = $1, document = $2
WHERE instance_id = $3 AND part = $4 AND version = $5

-- delete_cluster --
DELETE FROM cluster_parts WHERE instance_id = $1
