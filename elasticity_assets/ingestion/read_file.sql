-- name: filled_numbers
-- Of one file: its rows, and those with a value of each control, or of what is known of zones.
SELECT count(*), [{counts}] FROM raw_sales WHERE file_id = $file_id

-- name: readability
SELECT {columns} FROM {source} AS {row}

-- name: discounts
-- The largest of a file's discounts that have no percent sign, and how many of them are between 0 and 1.
SELECT max(discount), count(*) FILTER (WHERE discount > 0 AND discount < 1)
FROM (SELECT {discount} AS discount FROM {source} AS {row})

-- name: read_file
-- What no row can mean is refused here, before sums: beyond these limits numbers are mistakes, and smaller revenues
-- are lost when sums are rounded.
INSERT INTO raw_sales BY NAME
WITH delivered AS (
    SELECT
        {line} AS line,
        {row} AS {row},
        {product} AS product,
        {category} AS category,
        {store} AS store,
        {zone} AS zone,
        {date} AS delivered_date,
        {label} AS period_label,
        {units} AS units,
        {price} AS price,
        {currency_mark} AS currency_mark,
        {discount} AS discount,
        {regular_price} AS regular_price,
        {cost} AS cost,
        {randomized} AS randomized,
        {description} AS description,
        {substitutes} AS substitutes,
        {attributes} AS attributes,
        {zone_covariates} AS zone_covariates
        {controls}
    FROM {source} AS {row}
), understood AS (
    SELECT
        * REPLACE (price * (1 - discount) AS price),
        coalesce(delivered_date, start_of_period(period_label, $period, $first_week)) AS day,
        delivered_date IS NOT NULL AS dated
    FROM delivered
), judged AS (
    SELECT
        *,
        CASE
            WHEN product IS NULL THEN CASE WHEN {names_total} THEN 'row of totals' ELSE 'no product' END
            WHEN regexp_full_match(product, $not_products, 'i') THEN 'not a product'
            WHEN category IS NULL THEN 'no category'
            WHEN {zone_wanted} AND zone IS NULL THEN 'no zone'
            WHEN day IS NULL THEN CASE WHEN {period_given} THEN 'period unreadable' ELSE 'no period' END
            WHEN units IS NULL THEN CASE WHEN {units_given} THEN 'units unreadable' ELSE 'no units' END
            WHEN abs(units) > 1e9 THEN 'units too large'
            WHEN abs(units) < 1e-6 AND units <> 0 THEN 'units too small'
            WHEN discount IS NULL THEN 'discount unreadable'
            WHEN discount NOT BETWEEN 0 AND 1 THEN 'discount not from 0% to 100%'
            WHEN price IS NULL THEN CASE WHEN {price_given} THEN 'price unreadable' ELSE 'no price' END
            WHEN price <= 0 THEN 'price not positive'
            WHEN price < 1e-4 THEN 'price too small'
            WHEN price > 1e9 THEN 'price too large'
            WHEN abs(units) * price < 1e-6 AND units <> 0 THEN 'revenue too small'
            WHEN {randomized_given} AND coalesce(randomized NOT IN (0, 1), true) THEN 'randomized neither yes nor no'
        END AS reason
    FROM understood
)
SELECT
    CAST($file_id AS INTEGER) AS file_id,
    reason,
    CASE WHEN reason IS NOT NULL THEN CAST(to_json({row}) AS VARCHAR) END AS "row",
    * EXCLUDE ({row}, delivered_date, period_label, discount, reason) REPLACE (
        CASE WHEN abs(units) <= 1e9 THEN units END AS units,
        CASE WHEN abs(price) <= 1e9 THEN price END AS price,
        CASE WHEN regular_price BETWEEN 1e-4 AND 1e9 THEN regular_price END AS regular_price,
        CASE WHEN cost BETWEEN 0 AND 1e9 THEN cost END AS cost,
        CASE WHEN randomized IN (0, 1) THEN randomized = 1 END AS randomized
    )
FROM judged

-- name: reject_duplicates
UPDATE raw_sales
SET reason = 'duplicate row', "row" = copies.delivered
FROM (
    SELECT line, CAST(to_json(delivered) AS VARCHAR) AS delivered, row_number() OVER (PARTITION BY delivered ORDER BY line) AS nth
    FROM (SELECT {line} AS line, {row} AS delivered FROM {source} AS {row})
    JOIN (
        SELECT line
        FROM raw_sales
        WHERE file_id = $file_id AND reason IS NULL
        QUALIFY count(*) OVER (PARTITION BY lower(product), {place}, day) > 1
    ) USING (line)
) AS copies
WHERE raw_sales.file_id = $file_id AND raw_sales.line = copies.line AND copies.nth > 1

-- name: find_without_partner
CREATE OR REPLACE TEMP TABLE without_partner AS
SELECT {line} AS line, unnest(without_partner) AS number FROM {source} AS {row}

-- name: rows_without_partner
SELECT number, count(*) FROM without_partner GROUP BY number

-- name: name_missing_partner
UPDATE raw_sales
SET reason = reason || $why
WHERE file_id = $file_id
    AND list_contains($reasons::VARCHAR[], reason)
    AND line IN (SELECT line FROM without_partner WHERE number = $number)

-- name: shift_lines
-- Rows were numbered without the malformed lines among them: push each row down by those before it.
UPDATE raw_sales
SET line = shifted.line + shifted.n_malformed
FROM (
    SELECT r.line, gaps.n_malformed
    FROM raw_sales AS r
    ASOF JOIN (
        SELECT n_before, max(nth) AS n_malformed
        FROM (
            SELECT line - row_number() OVER (ORDER BY line) AS n_before, row_number() OVER (ORDER BY line) AS nth
            FROM (SELECT DISTINCT line FROM reject_errors)
        )
        GROUP BY n_before
    ) AS gaps ON r.line > gaps.n_before
    WHERE r.file_id = $file_id
) AS shifted
WHERE raw_sales.file_id = $file_id AND raw_sales.line = shifted.line

-- name: store_malformed_lines
-- DuckDB lists a malformed line once for every field too many or too few.
INSERT INTO raw_sales (file_id, line, reason, "row")
SELECT
    $file_id,
    line,
    'malformed line: ' || lower(any_value(CAST(error_type AS VARCHAR))),
    CAST(to_json(ltrim(any_value(csv_line), e'\n')) AS VARCHAR)
FROM reject_errors
GROUP BY line

-- name: name_set_aside
-- A line that the parser did not see: its own text and reason for those of the mark that stood for it.
UPDATE raw_sales
SET reason = $reason, "row" = CAST(to_json($row::VARCHAR) AS VARCHAR)
WHERE file_id = $file_id AND "row" = CAST(to_json($mark::VARCHAR) AS VARCHAR)

-- name: drop_malformed_lines
DROP TABLE IF EXISTS temp.reject_errors;
DROP TABLE IF EXISTS temp.reject_scans

-- name: rows_read
-- Rows of a CSV file that its parser found, the malformed ones before they are stored.
SELECT
    (SELECT count(*) FROM raw_sales WHERE file_id = $file_id)
    + (SELECT count(DISTINCT line) FROM reject_errors)

-- name: rows_of_parquet
-- As the file itself says.
SELECT sum(num_rows) FROM parquet_file_metadata($path)

-- name: file_rows
SELECT count(*), count(*) FILTER (WHERE reason IS NULL) FROM raw_sales WHERE file_id = $file_id

-- name: forget_file
DELETE FROM {table} WHERE file_id = $file_id

-- name: repeated_lines
-- How many of a file's product-periods have several lines, and how many of those lines differ; of the
-- spellings of products whose hash has none of the bits of `mask`.
SELECT
    count(*) AS n,
    count(*) FILTER (WHERE n_lines > 1) AS n_repeated,
    count(*) FILTER (WHERE differ) AS n_differing
FROM (
    SELECT count(*) AS n_lines, min(units) < max(units) OR min(price) < max(price) AS differ
    FROM raw_sales
    WHERE file_id = $file_id AND reason IS NULL AND hash(product) & CAST($mask AS UBIGINT) = 0
    GROUP BY lower(product), {place}, day
)

-- name: repeats_days
-- Whether any product and place has several lines of one day, a quick look before `repeated_lines`. 63 days of one
-- weekday share a bit mask: far fewer groups than there are days, also where each is a week's.
SELECT coalesce(bool_or(n_lines > n_days), false)
FROM (
    SELECT count(*) AS n_lines, bit_count(bit_or(CAST(1 AS BIGINT) << CAST(number // 7 % 63 AS INTEGER))) AS n_days
    FROM (
        SELECT product, {place}, day - DATE '0001-01-01' AS number
        FROM raw_sales
        WHERE file_id = $file_id AND reason IS NULL
    )
    GROUP BY lower(product), {place}, number // 441, number % 7
)
