-- instance --
SELECT document FROM instances WHERE id = ? AND project_id = ?

-- matching --
SELECT document FROM instances
WHERE project_id = :project_id
  AND (:name IS NULL OR (:name_is_exact AND name = :name)
       OR (NOT :name_is_exact AND instr(name, :name) > 0))
  AND (:instance_id IS NULL OR id = :instance_id)
  AND (:status IS NULL OR status = :status)
  AND (:enterprise_project_id IS NULL OR enterprise_project_id = :enterprise_project_id)
  AND (:with_failed OR status <> 'CREATEFAILED')
ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :skip

-- matching_count --
SELECT count(*) FROM instances
WHERE project_id = :project_id
  AND (:name IS NULL OR (:name_is_exact AND name = :name)
       OR (NOT :name_is_exact AND instr(name, :name) > 0))
  AND (:instance_id IS NULL OR id = :instance_id)
  AND (:status IS NULL OR status = :status)
  AND (:enterprise_project_id IS NULL OR enterprise_project_id = :enterprise_project_id)
  AND (:with_failed OR status <> 'CREATEFAILED')

-- insert_instance --
INSERT INTO instances (id, project_id, name, status, enterprise_project_id, created_at, version,
                       document)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING

-- update_instance --
UPDATE instances SET name = ?, status = ?, enterprise_project_id = ?, version = ?, document = ?
WHERE id = ? AND version = ?

-- delete_instance --
DELETE FROM instances WHERE id = ?

-- cluster --
SELECT document, version FROM cluster_parts WHERE instance_id = ? AND part = ?

-- insert_cluster --
INSERT INTO cluster_parts (instance_id, part, version, document) VALUES (?, ?, ?, ?)
ON CONFLICT (instance_id, part) DO NOTHING

-- update_cluster --
UPDATE cluster_parts SET version = ?, document = ?
WHERE instance_id = ? AND part = ? AND version = ?

-- delete_cluster --
DELETE FROM cluster_parts WHERE instance_id = ?
