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

-- name: changes_since_last_refit
-- By category, how many elasticities moved by more than a limit since the last refit, and the one that moved most.
SELECT
    category,
    count(*) AS n_products,
    count(*) FILTER (abs(sds) > $limit) AS n_jumped,
    arg_max(product, abs(sds)) AS product,
    arg_max(elasticity_before, abs(sds)) AS elasticity_before,
    arg_max(elasticity, abs(sds)) AS elasticity,
    arg_max(sds, abs(sds)) AS sds
FROM (
    SELECT
        n.category,
        n.product,
        b.elasticity AS elasticity_before,
        n.elasticity,
        (n.elasticity - b.elasticity) / sqrt(n.elasticity_sd ** 2 + b.elasticity_sd ** 2) AS sds
    FROM (SELECT {columns} FROM new_rows) AS n
    INNER JOIN product_elasticity AS b ON n.category = b.category AND n.product = b.product
)
GROUP BY category
ORDER BY category
