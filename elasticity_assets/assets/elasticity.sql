-- name: product_sales
-- What the products of some categories sold, and at which prices.
SELECT
    weekly_sales.category,
    product,
    any_value(products.product_description) AS product_description,
    count(*) AS n_periods,
    sum(units) AS units,
    sum(revenue) AS revenue,
    avg(price) AS price_mean,
    min(price) AS price_min,
    max(price) AS price_max,
    stddev_pop(ln(price)) AS log_price_sd
FROM weekly_sales
LEFT JOIN products USING (product)
WHERE weekly_sales.category IN (SELECT unnest($categories))
GROUP BY weekly_sales.category, product
ORDER BY weekly_sales.category, product

-- name: categories_rows
-- A table's rows of some categories.
SELECT *
FROM {table}
WHERE category IN (SELECT unnest($categories::VARCHAR[]))
ORDER BY ALL

-- name: whole_categories
-- The categories whose rows in the products' and the categories' tables come from one fit.
SELECT p.category
FROM (
    SELECT
        category,
        any_value(fit_id) AS fit_id
    FROM product_elasticity
    GROUP BY category
    HAVING count(DISTINCT fit_id) = 1
) AS p
INNER JOIN category_elasticity AS c ON p.category = c.category AND p.fit_id = c.fit_id
INNER JOIN fit_diagnostics AS d ON p.category = d.category AND p.fit_id = d.fit_id

-- name: elasticities_before
-- What the last refit left of the elasticities of some categories' products.
SELECT
    category,
    product,
    elasticity,
    elasticity_sd
FROM product_elasticity
WHERE category IN (SELECT unnest($categories::VARCHAR[]))
