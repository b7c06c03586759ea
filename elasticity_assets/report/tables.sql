-- name: published_rows
-- All rows of a published table.
SELECT *
FROM {table}
ORDER BY ALL
