-- The refits that snapshots stand for, the newest first.
SELECT substr(commit_message, length($prefix) + 1) AS refit_id, max(snapshot_id) AS snapshot_id
FROM {database}.snapshots()
WHERE author = 'elasticity_assets' AND starts_with(commit_message, $prefix)
GROUP BY ALL
ORDER BY snapshot_id DESC
