-- Where files overlap: for each product, store and date as delivered, the latest file that delivers it.
-- Files whose dates do not overlap are not looked at.
CREATE OR REPLACE TEMP TABLE latest_delivery AS
WITH ordered AS (
    SELECT *, row_number() OVER (ORDER BY place, file) AS turn FROM sales_files
), overlapping AS (
    SELECT a.file_id, a.turn
    FROM ordered AS a
    SEMI JOIN ordered AS b
        ON a.file_id <> b.file_id AND a.first_day <= b.last_day AND b.first_day <= a.last_day
)
SELECT lower(r.product) AS code, r.store, r.day, max(o.turn) AS turn
FROM raw_sales AS r
JOIN overlapping AS o ON o.file_id = r.file_id
WHERE r.reason IS NULL
GROUP BY ALL
HAVING min(o.turn) < max(o.turn)
