-- name: no_other_files
SET enable_external_access = FALSE

-- name: has_recommended_prices
SELECT 1 FROM duckdb_tables() WHERE database_name = $database AND table_name = 'recommended_prices'
