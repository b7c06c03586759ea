SELECT snapshot_id
FROM {database}.snapshots()
WHERE NOT list_contains($kept, snapshot_id) AND snapshot_id < (SELECT max(snapshot_id) FROM {database}.snapshots())
