SELECT product, period_start, units, price, regular_price {controls}
FROM weekly_sales
WHERE
    category_hash = $category_hash::UBIGINT
    AND category = $category
    AND ($first IS NULL OR product BETWEEN $first AND $last)
    AND (units > 0 OR NOT $without_zeros)
ORDER BY product, period_start
