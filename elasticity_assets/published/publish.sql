-- name: row_of_refit
-- This refit's row of refits.
SELECT
    $refit_id AS refit_id,
    $refitted_at::TIMESTAMP AS refitted_at,
    $seconds::DOUBLE AS seconds,
    (SELECT count(*) FROM sales_files) AS n_files,
    (SELECT coalesce(sum(rows_in), 0)::BIGINT FROM sales_files) AS rows_in,
    (SELECT coalesce(sum(n_rows), 0)::BIGINT FROM weekly_sales) AS rows_used,
    (SELECT count(*) FROM rejected_sales) AS rows_rejected,
    (SELECT count(DISTINCT category) FROM product_elasticity) AS n_categories,
    (SELECT count(*) FROM product_elasticity) AS n_products,
    $failed::VARCHAR[] AS failed,
    map($packages::VARCHAR[], $versions::VARCHAR[]) AS versions,
    (SELECT coalesce(max(number), 0) + 1 FROM refits WHERE refit_id <> $refit_id) AS number,
    $file_hash::VARCHAR AS file_hash

-- name: this_refit
-- The row of refits that is being published, for the statements below.
CREATE OR REPLACE TEMP TABLE this_refit AS {row}

-- name: refit
SELECT * FROM refits WHERE refit_id = $refit_id

-- name: last_refit
-- The refit whose tables a published file holds.
SELECT
    refit_id,
    refitted_at,
    rows_in,
    rows_used,
    rows_rejected,
    failed
FROM ({refits})
ORDER BY number DESC
LIMIT 1

-- name: last_categories
-- Categories of the last refit.
SELECT DISTINCT category
FROM elasticity_history
WHERE refit_id = (SELECT refit_id FROM refits ORDER BY number DESC LIMIT 1)
ORDER BY category

-- name: attach_new_file
ATTACH {file} AS {database} (READ_WRITE, STORAGE_VERSION {version})

-- name: copy_table
INSERT INTO {target} BY NAME SELECT {columns} FROM {source} ORDER BY {key}

-- name: make_batches
-- Hashes of categories, in the order of their names, in batches of about as many rows.
CREATE OR REPLACE TEMP TABLE batches AS
SELECT category_hash, CAST(sum(count(*)) OVER (ORDER BY min(category)) AS BIGINT) // $rows AS batch
FROM weekly_sales
GROUP BY category_hash

-- name: batches
SELECT DISTINCT batch FROM batches ORDER BY batch

-- name: weekly_sales_of_batch
-- By the hash, by which rows lie: where categories are large, few others are read.
FROM {table} SEMI JOIN (FROM batches WHERE batch = $batch) AS of_batch USING (category_hash)

-- name: create_macro
-- Qualified, so that it also works where the file is attached to another one.
CREATE MACRO {database}.main.price_scenario(product, price_change) AS TABLE
{scenarios}
WHERE s.product = product AND price_change > -1
ORDER BY s.category

-- name: comment_on_macro
COMMENT ON MACRO TABLE {database}.main.price_scenario IS {comment}

-- name: checkpoint
CHECKPOINT {database}

-- name: detach
DETACH {database}

-- name: earlier_refits
-- Rows of earlier refits.
FROM {table} WHERE refit_id <> (SELECT refit_id FROM this_refit)

-- name: history_of_refit
-- This refit's rows of elasticity_history.
SELECT
    p.category,
    p.product,
    r.refit_id,
    r.refitted_at,
    p.elasticity,
    p.elasticity_sd,
    p.elasticity_q05,
    p.elasticity_q95,
    p.estimated
FROM product_elasticity AS p
CROSS JOIN this_refit AS r

-- name: flag_old_fits
-- Products' rows as published: those of a category whose fit failed are the last ones, and say so.
SELECT
    * REPLACE (
        CASE
            WHEN list_contains((SELECT failed FROM this_refit), category) THEN
                concat_ws('; ', flag, 'old: this refit failed, numbers are of ' || strftime(fitted_at, '%Y-%m-%d'))
            ELSE flag
        END AS flag
    )
FROM {table}

-- name: names_of_attributes
SELECT map_keys(attributes) FROM products WHERE attributes IS NOT NULL LIMIT 1

-- name: with_attributes
-- A table's rows, with the attributes of their products.
SELECT t.* {columns}
FROM {table} AS t
LEFT JOIN products AS a ON a.product = t.product

-- name: attach_read_only
ATTACH {file} AS {database} (READ_ONLY)

-- name: use_database
USE {database}

-- name: repeated_keys
SELECT count(*) - count(DISTINCT ({key})) AS n FROM {table}

-- name: reasons_not_to_publish
-- Every row is a reason not to publish. Runs inside the new file.
WITH fitted AS (
    SELECT
        unnest($fitted::VARCHAR[]) AS category,
        unnest($n_products::BIGINT[]) AS n_products
),

products AS (
    SELECT
        category,
        count(*) AS n_products,
        min(fit_id) AS first_fit,
        max(fit_id) AS last_fit
    FROM product_elasticity
    GROUP BY category
),

scenarios AS (
    SELECT
        category,
        count(*) AS n_rows,
        count(DISTINCT product) AS n_products
    FROM price_scenarios
    GROUP BY category
)

SELECT 'no product has an elasticity' AS problem
WHERE NOT EXISTS (FROM products)
UNION ALL
SELECT 'weekly_sales is empty'
WHERE NOT EXISTS (FROM weekly_sales)
UNION ALL
SELECT format(
    'category {}: {} products were fitted, {} stand in product_elasticity',
    f.category, f.n_products, coalesce(p.n_products, 0)
)
FROM fitted AS f
LEFT JOIN products AS p USING (category)
WHERE f.n_products <> coalesce(p.n_products, 0)
UNION ALL
SELECT format('category {}: has sales, but was neither fitted nor reported as failed', w.category)
FROM (SELECT DISTINCT category FROM weekly_sales) AS w
WHERE
    w.category NOT IN (SELECT category FROM products)
    AND w.category NOT IN (SELECT unnest($failed::VARCHAR[]))
UNION ALL
SELECT format(
    'category {}: product_elasticity has {} products, category_elasticity says {}',
    coalesce(p.category, c.category), coalesce(p.n_products, 0), coalesce(c.n_products, 0)
)
FROM products AS p
FULL JOIN category_elasticity AS c ON p.category = c.category
WHERE p.n_products IS DISTINCT FROM c.n_products
UNION ALL
SELECT format(
    'category {}: product_elasticity has {} products, fit_diagnostics says {}',
    coalesce(p.category, d.category), coalesce(p.n_products, 0), coalesce(d.n_products, 0)
)
FROM products AS p
FULL JOIN fit_diagnostics AS d ON p.category = d.category
WHERE p.n_products IS DISTINCT FROM d.n_products
UNION ALL
SELECT format('category {}: its tables come from different fits', p.category)
FROM products AS p
INNER JOIN category_elasticity AS c USING (category)
INNER JOIN fit_diagnostics AS d USING (category)
WHERE NOT (p.first_fit = p.last_fit AND p.first_fit = c.fit_id AND p.first_fit = d.fit_id)
UNION ALL
SELECT format('category {}: {} rows in price_scenarios are not 9 for each product', p.category, coalesce(s.n_rows, 0))
FROM products AS p
LEFT JOIN scenarios AS s USING (category)
WHERE s.n_products IS DISTINCT FROM p.n_products OR s.n_rows IS DISTINCT FROM 9 * p.n_products
UNION ALL
SELECT format('category {}: price_scenarios does not follow from product_elasticity', s.category)
FROM price_scenarios AS s
LEFT JOIN product_elasticity AS p USING (category, product)
WHERE abs(s.units_change - (power(1 + s.price_change, p.elasticity_q50) - 1)) < 1e-9 IS NOT TRUE
GROUP BY s.category
UNION ALL
SELECT format('category {}: lasting changes in price_scenarios follow from no elasticity', s.category)
FROM price_scenarios AS s
LEFT JOIN product_elasticity AS p USING (category, product)
LEFT JOIN promotion_elasticity AS q USING (category, product)
WHERE
    least(
        abs(
            s.lasting_units_change
            - (power(1 + s.price_change, coalesce(p.elasticity_long_run_q50, p.elasticity_q50)) - 1)
        ),
        abs(s.lasting_units_change - (power(1 + s.price_change, q.regular_elasticity_long_run_q50) - 1))
    ) < 1e-9 IS NOT TRUE
GROUP BY s.category
UNION ALL
SELECT format('category {}: price_scenarios does not follow from category_move_elasticity', s.category)
FROM price_scenarios AS s
LEFT JOIN category_move_elasticity AS m USING (category, product)
WHERE
    CASE
        WHEN m.product IS NULL THEN s.category_units_change IS NULL
        ELSE abs(s.category_units_change - (power(1 + s.price_change, m.elasticity_q50) - 1)) < 1e-9
    END IS NOT TRUE
GROUP BY s.category
UNION ALL
SELECT format('category {}: category_move_elasticity is not of all its products and their fit', m.category)
FROM category_move_elasticity AS m
LEFT JOIN products AS p USING (category)
GROUP BY m.category
HAVING count(*) IS DISTINCT FROM any_value(p.n_products) OR bool_or(m.fit_id IS DISTINCT FROM p.first_fit)
UNION ALL
SELECT format('category {}: zone_elasticity is of another fit than product_elasticity', category)
FROM zone_elasticity
ANTI JOIN product_elasticity USING (category, product, fit_id)
GROUP BY category
UNION ALL
SELECT format('category {}: product {} has no row in zone_elasticity', p.category, p.product)
FROM product_elasticity AS p
WHERE
    p.category IN (SELECT category FROM zone_elasticity)
    AND (p.category, p.product) NOT IN (SELECT category, product FROM zone_elasticity)
UNION ALL
SELECT format('category {}: product {} has no proper interval in zone {}', category, product, zone)
FROM zone_elasticity
WHERE NOT (
    isfinite(elasticity) AND isfinite(elasticity_sd) AND elasticity_sd > 0
    AND elasticity_q05 < elasticity_q50 AND elasticity_q50 < elasticity_q95
    AND prob_elastic BETWEEN 0 AND 1 AND shrinkage BETWEEN 0 AND 1
    AND isfinite(price_latest) AND price_latest > 0 AND isfinite(units_per_period)
)
UNION ALL
SELECT format('category {}: cross_elasticity is not of products of its fit', category)
FROM cross_elasticity
WHERE (category, product, fit_id) NOT IN (SELECT category, product, fit_id FROM product_elasticity)
    OR (category, other_product) NOT IN (SELECT category, product FROM product_elasticity)
GROUP BY category
UNION ALL
SELECT format('category {}: product {} has no proper interval in cross_elasticity', category, product)
FROM cross_elasticity
WHERE NOT (isfinite(elasticity) AND elasticity_sd > 0 AND elasticity_q05 < elasticity AND elasticity < elasticity_q95)
GROUP BY category, product
UNION ALL
SELECT format(
    'category {}: promotion_elasticity has {} products, product_elasticity {}',
    q.category, q.n_products, coalesce(p.n_products, 0)
)
FROM (SELECT category, count(*) AS n_products FROM promotion_elasticity GROUP BY category) AS q
LEFT JOIN products AS p USING (category)
WHERE q.n_products IS DISTINCT FROM p.n_products
UNION ALL
SELECT format('category {}: promotion_elasticity is of another fit than product_elasticity', category)
FROM promotion_elasticity
ANTI JOIN product_elasticity USING (category, product, fit_id)
GROUP BY category
UNION ALL
SELECT format('category {}: product {} has no proper interval in promotion_elasticity', category, product)
FROM promotion_elasticity
WHERE NOT (
    isfinite(regular_elasticity) AND isfinite(regular_elasticity_sd) AND regular_elasticity_sd > 0
    AND regular_elasticity_q05 < regular_elasticity_q50 AND regular_elasticity_q50 < regular_elasticity_q95
    AND isfinite(promotion_elasticity) AND isfinite(promotion_elasticity_sd) AND promotion_elasticity_sd > 0
    AND promotion_elasticity_q05 < promotion_elasticity_q50
    AND promotion_elasticity_q50 < promotion_elasticity_q95
)
UNION ALL
SELECT format('category {}: recommended_prices is not of all its products and no others', coalesce(p.category, q.category))
FROM (SELECT category, count(*) AS n_products FROM recommended_prices WHERE zone IS NULL GROUP BY category) AS q
FULL JOIN products AS p ON p.category = q.category
WHERE p.n_products IS DISTINCT FROM q.n_products
UNION ALL
SELECT format('category {}: product {} has no proper price in recommended_prices', category, product)
FROM recommended_prices
WHERE NOT (
    price_now > 0 AND price_recommended > 0 AND isfinite(price_recommended) AND isfinite(revenue_change)
    AND (action = 'keep') = (price_recommended = price_now)
)
UNION ALL
SELECT format('category {}: product {} has a price for zone {}, and no row in zone_elasticity', r.category, r.product, r.zone)
FROM recommended_prices AS r
ANTI JOIN zone_elasticity AS z ON z.category = r.category AND z.product = r.product AND z.zone = r.zone
WHERE r.zone IS NOT NULL
UNION ALL
SELECT format('category {}: product {} has no proper cost of uniform pricing', u.category, coalesce(u.product, 'all'))
FROM uniform_pricing AS u
WHERE
    NOT (isfinite(cost) AND cost_q05 <= cost AND cost <= cost_q95 AND coalesce(prob_zones_gain, 0) BETWEEN 0 AND 1)
    OR u.category NOT IN (SELECT category FROM recommended_prices WHERE zone IS NOT NULL)
UNION ALL
SELECT format('category {}: recommended_tests has the product {}, and recommended_prices has not', t.category, t.product)
FROM recommended_tests AS t
ANTI JOIN recommended_prices AS r ON r.category = t.category AND r.product = t.product
UNION ALL
SELECT format('category {}: product {} has no proper test in recommended_tests', category, product)
FROM recommended_tests
WHERE NOT (
    0 < price_low AND price_low <= price_now AND price_now <= price_high AND price_low < price_high
    AND isfinite(price_high) AND periods > 0 AND sd_after > 0 AND sd_after < elasticity_sd
    AND isfinite(elasticity_sd) AND isfinite(gain_per_period) AND gain_per_period > 0
)
UNION ALL
SELECT format('category {}: control_effect has a category without products', c.category)
FROM control_effect AS c
WHERE c.category NOT IN (SELECT category FROM products)
GROUP BY c.category
UNION ALL
SELECT format('category {}: product {} has no proper interval', category, product)
FROM product_elasticity
WHERE NOT (
    isfinite(elasticity) AND isfinite(elasticity_sd) AND elasticity_sd > 0
    AND elasticity_q05 < elasticity_q50 AND elasticity_q50 < elasticity_q95
    AND prob_elastic BETWEEN 0 AND 1 AND shrinkage BETWEEN 0 AND 1
)
UNION ALL
SELECT format('category {}: the move of its prices has no proper interval for product {}', category, product)
FROM category_move_elasticity
WHERE NOT (
    isfinite(elasticity) AND isfinite(elasticity_sd) AND elasticity_sd > 0
    AND elasticity_q05 < elasticity_q50 AND elasticity_q50 < elasticity_q95
)
UNION ALL
SELECT format('category {}: has no proper interval', category)
FROM category_elasticity
WHERE NOT (
    isfinite(elasticity) AND isfinite(elasticity_sd) AND elasticity_sd > 0
    AND elasticity_q05 < elasticity_q50 AND elasticity_q50 < elasticity_q95
)
UNION ALL
SELECT format('global_elasticity has {} rows instead of one', count(*))
FROM global_elasticity
HAVING count(*) <> 1
UNION ALL
SELECT format('global_elasticity counts {} categories, {} were pooled', g.n_categories, f.n)
FROM global_elasticity AS g, (SELECT count(*) AS n FROM fitted) AS f
WHERE g.n_categories <> f.n
UNION ALL
SELECT format('{} rows came in, {} are used and {} rejected', rows_in, rows_used, rows_rejected)
FROM refits
WHERE refit_id = $refit_id AND rows_in <> rows_used + rows_rejected
UNION ALL
SELECT format('elasticity_history has {} rows of this refit, product_elasticity {}', h.n, p.n)
FROM
    (SELECT count(*) AS n FROM elasticity_history WHERE refit_id = $refit_id) AS h,
    (SELECT count(*) AS n FROM product_elasticity) AS p
WHERE h.n <> p.n

-- name: file_hash
SELECT file_hash FROM refits WHERE refit_id = $refit_id

-- name: set_file_hash
UPDATE refits SET file_hash = $file_hash WHERE refit_id = $refit_id

-- name: delete_refit
DELETE FROM {table} WHERE refit_id = $refit_id
