-- name: no_other_files
SET enable_external_access = FALSE

-- name: tables_published
SELECT table_name FROM duckdb_tables() WHERE database_name = $database
