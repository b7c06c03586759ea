-- name: attach_sales
ATTACH {address} AS {database} ({options})

-- name: memory_limit
SELECT current_setting('memory_limit')

-- name: allow_directories
SET allowed_directories = [{allowed}]

-- name: allow_paths
SET allowed_paths = [{allowed}]

-- name: no_other_access
SET enable_external_access = false

-- name: lock_configuration
SET lock_configuration = true

-- name: describe_sales_table
SELECT * FROM {table} LIMIT 0

-- name: hash_sales_table
-- Of all rows, in whatever order: how many, and the sum of their hashes.
SELECT concat(count(*), '-', coalesce(sum(hash(one_row)), 0)) FROM {table} AS one_row

-- name: copy_sales_table
COPY (SELECT * FROM {table}) TO {path} (FORMAT parquet)
