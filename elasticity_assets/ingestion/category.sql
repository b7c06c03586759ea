-- name: categories
SELECT DISTINCT category FROM weekly_sales ORDER BY category

-- name: holds_zero
SELECT EXISTS (FROM raw_sales WHERE reason IS NULL AND units = 0)

-- name: periods
SELECT DISTINCT period_start FROM weekly_sales ORDER BY period_start

-- name: substitute_groups
SELECT product, substitutes FROM products WHERE category = $category AND substitutes IS NOT NULL

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

-- name: has_zones
SELECT EXISTS (FROM zone_sales)

-- name: holds_zones
-- Whether a product of the category is sold in more than one zone.
SELECT EXISTS (
    SELECT product
    FROM zone_sales
    WHERE category_hash = $category_hash::UBIGINT AND category = $category AND (units > 0 OR NOT $without_zeros)
    GROUP BY product
    HAVING min(zone) < max(zone)
)

-- name: zone_covariates
SELECT c.covariate, z.zone, z.covariates[c.covariate] AS value
FROM zones AS z, LATERAL (SELECT unnest(map_keys(z.covariates)) AS covariate) AS c
WHERE z.covariates[c.covariate] IS NOT NULL
ORDER BY c.covariate, z.zone

-- name: products_of_category
SELECT product FROM products WHERE category = $category ORDER BY product

-- name: category_sales
-- In no set order. Numbers without NULL are read in half the time; a product is its number among the category's, since
-- texts take longer.
SELECT
    p.number AS product,
    {zone}
    w.period_start,
    w.units,
    w.price,
    {weight} AS "weight of suspects"
    {more}
FROM {sales} AS w
JOIN (
    SELECT product, row_number() OVER (ORDER BY product) - 1 AS number FROM products WHERE category = $category
) AS p ON p.product = w.product
{weights}
WHERE
    w.category_hash = $category_hash::UBIGINT
    AND w.category = $category
    AND ($first IS NULL OR w.product BETWEEN $first AND $last)
    AND (w.units > 0 OR NOT $without_zeros)
