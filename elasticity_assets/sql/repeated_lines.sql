-- How many of a file's product-periods have several lines, and how many of those lines differ.
SELECT
    count(*) AS n,
    count(*) FILTER (WHERE n_lines > 1) AS n_repeated,
    count(*) FILTER (WHERE differ) AS n_differing
FROM (
    SELECT count(*) AS n_lines, min(units) < max(units) OR min(price) < max(price) AS differ
    FROM raw_sales
    WHERE file_id = $file_id AND reason IS NULL
    GROUP BY lower(product), store, day
)
