-- name: ducklake_message
-- Names the snapshot that this transaction will make.
CALL {database}.set_commit_message('elasticity_assets', $message)

-- name: ducklake_old_snapshots
SELECT snapshot_id
FROM {database}.snapshots()
WHERE NOT list_contains($kept, snapshot_id) AND snapshot_id < (SELECT max(snapshot_id) FROM {database}.snapshots())

-- name: ducklake_expire
CALL ducklake_expire_snapshots({lake}, versions => $snapshots::UBIGINT[])

-- name: ducklake_clean
-- Files of which no snapshot knows any more; a day later, for those who are still reading them.
CALL ducklake_cleanup_old_files({lake}, older_than => now()::TIMESTAMP - INTERVAL 1 DAY)

-- name: ducklake_use
USE {database}

-- name: s3_endpoint
-- A server other than AWS that speaks S3.
SET GLOBAL s3_endpoint = {host};
SET GLOBAL s3_use_ssl = {ssl};
SET GLOBAL s3_url_style = 'path'

-- name: ducklake_attach
ATTACH {address} AS {database} (DATA_PATH {files} {options})

-- name: ducklake_refits
-- The refits that snapshots stand for, the newest first.
SELECT substr(commit_message, length($prefix) + 1) AS refit_id, max(snapshot_id) AS snapshot_id
FROM {database}.snapshots()
WHERE author = 'elasticity_assets' AND starts_with(commit_message, $prefix)
GROUP BY ALL
ORDER BY snapshot_id DESC
