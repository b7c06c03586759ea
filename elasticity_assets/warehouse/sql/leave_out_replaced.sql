INSERT INTO unused_sales
WITH ordered AS (
    SELECT *, row_number() OVER (ORDER BY place, file) AS turn FROM sales_files
)
SELECT r.file_id, r.line, 'replaced by ' || winner.file
FROM raw_sales AS r
JOIN ordered AS own ON own.file_id = r.file_id
JOIN latest_delivery AS d
    ON d.code = lower(r.product) AND d.store IS NOT DISTINCT FROM r.store AND d.day = r.day AND own.turn < d.turn
JOIN ordered AS winner ON winner.turn = d.turn
WHERE r.reason IS NULL
