-- name: published_rows
-- All rows of a published table.
SELECT *
FROM {table}
ORDER BY ALL

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

-- name: suspect_products
-- Products with suspect sales, and what is suspect.
SELECT DISTINCT category, product, what
FROM suspect_sales
ORDER BY ALL
