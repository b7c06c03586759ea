-- name: published_rows
-- All rows of a published table.
SELECT *
FROM {table}
ORDER BY ALL

-- name: prices_everywhere
FROM recommended_prices WHERE zone IS NULL ORDER BY ALL

-- name: uniform_pricing_of_categories
FROM uniform_pricing WHERE product IS NULL ORDER BY category

-- name: elasticities_of_refit
-- What one refit published of each product.
SELECT category, product, elasticity, elasticity_sd, elasticity_q05, elasticity_q95, estimated
FROM elasticity_history
WHERE refit_id = $refit_id
ORDER BY ALL

-- name: first_tests
-- The tests to run first.
SELECT t.*, e.product_description
FROM recommended_tests AS t
INNER JOIN product_elasticity AS e ON e.category = t.category AND e.product = t.product
ORDER BY t.rank
LIMIT $most

-- name: zones_that_differ
-- Elasticities by zone whose 90% interval does not hold their product's, those that differ most first.
SELECT
    z.*,
    p.product_description,
    p.elasticity AS of_product,
    p.elasticity_q05 AS of_product_q05,
    p.elasticity_q95 AS of_product_q95
FROM zone_elasticity AS z
INNER JOIN product_elasticity AS p ON p.category = z.category AND p.product = z.product
WHERE z.estimated AND p.elasticity NOT BETWEEN z.elasticity_q05 AND z.elasticity_q95
ORDER BY abs(z.elasticity - p.elasticity) / z.elasticity_sd DESC, z.category, z.product, z.zone
LIMIT $most

-- name: rows_by_zone
SELECT count(*) FROM zone_elasticity

-- name: suspect_products
-- Products with suspect sales, and what is suspect.
SELECT DISTINCT category, product, what
FROM suspect_sales
ORDER BY ALL
