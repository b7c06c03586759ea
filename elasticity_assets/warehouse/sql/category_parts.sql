SELECT min(product) AS first, max(product) AS last
FROM (
    SELECT product, (row_number() OVER (ORDER BY product) - 1) // $products AS part
    FROM (
        SELECT DISTINCT product
        FROM weekly_sales
        WHERE category_hash = $category_hash::UBIGINT AND category = $category AND (units > 0 OR NOT $without_zeros)
    )
)
GROUP BY part
ORDER BY part
