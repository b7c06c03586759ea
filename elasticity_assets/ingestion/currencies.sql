-- name: currency_marks
-- What names a currency beside the prices: how many rows have it, the only file, store and category where there is
-- only one, and the first of the rows.
WITH marked AS (
    SELECT r.currency_mark, r.file_id, r.store, r.category, count(*) AS n, min({'line': r.line, 'product': r.product, 'price': r.price}) AS first
    FROM raw_sales AS r
    ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
    WHERE r.reason IS NULL AND r.currency_mark IS NOT NULL
    GROUP BY ALL
)
SELECT
    currency_mark,
    CAST(sum(n) AS BIGINT) AS n,
    struct_pack(
        file := CASE WHEN count(DISTINCT f.file) = 1 THEN min(f.file) END,
        store := CASE WHEN count(DISTINCT store) = 1 THEN min(store) END,
        category := CASE WHEN count(DISTINCT category) = 1 THEN min(category) END
    ) AS places,
    min((f.file, marked.first.line, marked.first.product, marked.first.price)) AS example
FROM marked
JOIN sales_files AS f USING (file_id)
GROUP BY currency_mark
ORDER BY n DESC, currency_mark
