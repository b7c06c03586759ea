-- name: schema_version
SELECT max(version) FROM schema_version

-- name: create_schema_version
CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER NOT NULL,
    since TIMESTAMP NOT NULL DEFAULT current_localtimestamp()
)

-- name: set_schema_version
INSERT INTO schema_version (version) VALUES ($version)

-- name: rejected_sales
-- Every row left out: "row" is JSON, as delivered if the row cannot be used, else as read.
CREATE OR REPLACE VIEW rejected_sales AS
SELECT f.file, r.line, r.reason, r."row", r.units
FROM raw_sales AS r
JOIN sales_files AS f ON f.file_id = r.file_id
WHERE r.reason IS NOT NULL
UNION ALL
SELECT
    file,
    line,
    reason,
    CAST(CASE WHEN zone IS NULL THEN to_json(read) ELSE to_json(struct_insert(read, zone := zone)) END AS VARCHAR) AS "row",
    units
FROM (
    SELECT
        f.file,
        u.line,
        u.reason,
        r.zone,
        r.units,
        struct_pack(
            product := r.product, category := r.category, store := r.store, day := r.day, units := r.units,
            price := r.price, regular_price := r.regular_price, description := r.description
        ) AS read
    FROM unused_sales AS u
    JOIN raw_sales AS r ON r.file_id = u.file_id AND r.line = u.line
    JOIN sales_files AS f ON f.file_id = u.file_id
)

-- name: types_there
SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = current_database()

-- name: drop_column
ALTER TABLE {table} DROP COLUMN {column}

-- name: hash_categories
-- Tables of version 1 had no hash.
UPDATE weekly_sales SET category_hash = md5_number_lower(category) WHERE category_hash IS NULL

-- name: show_as_present
CREATE OR REPLACE TEMP VIEW {view} AS SELECT *, {columns} FROM {table}

-- name: number_refits
-- Refits of version 3 had no number.
UPDATE refits
SET number = (
    SELECT count(*) FROM refits AS earlier WHERE (earlier.refitted_at, earlier.refit_id) <= (refits.refitted_at, refits.refit_id)
)
WHERE number IS NULL
