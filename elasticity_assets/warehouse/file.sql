-- name: no_progress_bar
SET enable_progress_bar = false

-- name: schema_version
SELECT max(version) FROM schema_version

-- name: schema
-- Tables of the warehouse, version 2. weekly_sales and products are empty until they are first built.

CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER NOT NULL,
    since TIMESTAMP NOT NULL DEFAULT current_localtimestamp()
);

-- Every sales file taken in.
CREATE TABLE IF NOT EXISTS sales_files (
    file_id INTEGER NOT NULL,
    file VARCHAR NOT NULL,           -- full path
    content_hash VARCHAR NOT NULL,   -- SHA-256 of its bytes
    reading VARCHAR NOT NULL,        -- the settings that it was read with, JSON
    place INTEGER NOT NULL,          -- index of the entry of `sales.path` that names it: a later one wins
    rows_in BIGINT NOT NULL,         -- rows, the header apart
    units_in DOUBLE NOT NULL,        -- sum of all units that could be read
    first_day DATE NOT NULL,         -- of its usable rows
    last_day DATE NOT NULL
);

-- One line a row of a file, the unusable ones with their reason. The controls follow as further columns.
CREATE TABLE IF NOT EXISTS raw_sales (
    file_id INTEGER NOT NULL,
    line BIGINT NOT NULL,            -- number of the row in its file: from 1 in Parquet, where the header is 1 in CSV
    reason VARCHAR,                  -- why the row cannot be used; NULL if it can
    "row" VARCHAR,                   -- the row as delivered, JSON, if it cannot be used
    product VARCHAR,                 -- as delivered, trimmed
    category VARCHAR,                -- as delivered, trimmed; 'all' where the files have none
    store VARCHAR,
    day DATE,                        -- date as delivered, or first day of the period as delivered
    dated BOOLEAN,                   -- day is a date as delivered, not a period's label or number
    units DOUBLE,                    -- returns are negative
    price DOUBLE,                    -- a unit
    regular_price DOUBLE,            -- a unit
    description VARCHAR
);

-- Usable rows that weekly_sales leaves out, each with its reason.
CREATE TABLE IF NOT EXISTS unused_sales (
    file_id INTEGER NOT NULL,
    line BIGINT NOT NULL,
    reason VARCHAR NOT NULL
);

-- Every row left out: "row" is JSON, as delivered if the row cannot be used, else as read.
CREATE OR REPLACE VIEW rejected_sales AS
SELECT f.file, r.line, r.reason, r."row", r.units
FROM raw_sales AS r
JOIN sales_files AS f ON f.file_id = r.file_id
WHERE r.reason IS NOT NULL
UNION ALL
SELECT
    f.file,
    u.line,
    u.reason,
    CAST(to_json(struct_pack(
        product := r.product, category := r.category, store := r.store, day := r.day, units := r.units,
        price := r.price, regular_price := r.regular_price, description := r.description
    )) AS VARCHAR) AS "row",
    r.units
FROM unused_sales AS u
JOIN raw_sales AS r ON r.file_id = u.file_id AND r.line = u.line
JOIN sales_files AS f ON f.file_id = u.file_id;

-- One line a product.
CREATE TABLE IF NOT EXISTS products (
    product VARCHAR,
    category VARCHAR,
    product_description VARCHAR
);

-- One line a product-period. The controls follow as further columns.
CREATE TABLE IF NOT EXISTS weekly_sales (
    category VARCHAR,
    product VARCHAR,
    period_start DATE,
    units DOUBLE,
    revenue DOUBLE,
    price DOUBLE,
    regular_price DOUBLE,
    n_rows BIGINT,                   -- rows of the files behind it
    category_hash UBIGINT            -- md5_number_lower(category): rows lie by it, and are found by it
);

-- Version 1 had none.
ALTER TABLE weekly_sales ADD COLUMN IF NOT EXISTS category_hash UBIGINT;
UPDATE weekly_sales SET category_hash = md5_number_lower(category) WHERE category_hash IS NULL;

-- name: set_schema_version
INSERT INTO schema_version (version) VALUES (?)
