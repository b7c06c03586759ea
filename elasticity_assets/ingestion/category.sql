-- name: categories
SELECT DISTINCT category FROM weekly_sales ORDER BY category

-- name: holds_zero
SELECT EXISTS (FROM raw_sales WHERE reason IS NULL AND units = 0)

-- name: periods
SELECT DISTINCT period_start FROM weekly_sales ORDER BY period_start

-- name: category_parts
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

-- name: category_sales
SELECT product, period_start, units, price, regular_price {controls}
FROM weekly_sales
WHERE
    category_hash = $category_hash::UBIGINT
    AND category = $category
    AND ($first IS NULL OR product BETWEEN $first AND $last)
    AND (units > 0 OR NOT $without_zeros)
ORDER BY product, period_start
