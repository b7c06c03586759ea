-- How many of a file's product-periods have several lines, and how many of those lines differ; of the
-- products whose hash has none of the bits of `mask`.
SELECT
    count(*) AS n,
    count(*) FILTER (WHERE n_lines > 1) AS n_repeated,
    count(*) FILTER (WHERE differ) AS n_differing
FROM (
    SELECT count(*) AS n_lines, min(units) < max(units) OR min(price) < max(price) AS differ
    FROM raw_sales
    WHERE file_id = $file_id AND reason IS NULL AND hash(lower(product)) & CAST($mask AS UBIGINT) = 0
    GROUP BY lower(product), store, day
)
