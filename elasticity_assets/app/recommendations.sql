-- name: recommendations_by_filters
-- Rows of recommended_prices; the gain is in what the settings ask for: units, or profit where costs are given, or revenue.
SELECT
    r.*,
    CASE r.gain_of WHEN 'units' THEN units_change WHEN 'profit' THEN profit_change ELSE revenue_change END AS gain,
    CASE r.gain_of
        WHEN 'units' THEN units_change_q05 WHEN 'profit' THEN profit_change_q05 ELSE revenue_change_q05
    END AS gain_q05,
    CASE r.gain_of
        WHEN 'units' THEN units_change_q95 WHEN 'profit' THEN profit_change_q95 ELSE revenue_change_q95
    END AS gain_q95,
    r.price_recommended / r.price_now - 1 AS price_change
FROM (
    SELECT
        *,
        CASE
            WHEN $objective = 'units' THEN 'units'
            WHEN $objective = 'profit' AND profit_change IS NOT NULL THEN 'profit'
            ELSE 'revenue'
        END AS gain_of
    FROM recommended_prices
) AS r
WHERE (len($categories) = 0 OR list_contains($categories, r.category)) {further}

-- name: having_attribute
AND list_contains({values}, r.{attribute}::VARCHAR)

-- name: having_text
AND (
    contains(lower(r.product), lower($text))
    OR (r.category, r.product) IN (
        SELECT (e.category, e.product)
        FROM product_elasticity AS e
        WHERE contains(lower(e.product_description), lower($text))
    )
)

-- name: recommendation_counts
SELECT
    action,
    count(*) AS products,
    bool_and(gain_of = 'profit') AS all_in_profit,
    bool_or(gain_of = 'units') AS in_units
FROM ({recommendations})
GROUP BY action

-- name: recommendation_sum
-- What the changes bring together, and its standard deviation. The part of the errors that comes of a category's elasticity
-- is one for all its products; it has another sign for dearer products than for cheaper ones.
SELECT sum(gain) AS expected, sqrt(sum(variance)) AS sd
FROM (
    SELECT
        category,
        sum(gain) AS gain,
        power(sum(side * shared * sd), 2) + sum((1 - power(shared, 2)) * power(sd, 2)) AS variance
    FROM (
        SELECT
            r.category,
            r.{of}_change AS gain,
            (r.{of}_change_q95 - r.{of}_change_q05) / (2 * $z90) AS sd,
            sign(r.price_change) AS side,
            {shared_sd} / e.elasticity_sd AS shared
        FROM ({recommendations}) AS r
        INNER JOIN product_elasticity AS e ON e.category = r.category AND e.product = r.product
        INNER JOIN category_elasticity AS c ON c.category = r.category
        WHERE r.action <> 'keep'
    )
    GROUP BY category
)

-- name: recommendation_page
WITH shown AS (
    SELECT *
    FROM ({recommendations})
    WHERE list_contains($actions, action)
    ORDER BY {order}, category, product
    LIMIT $most OFFSET $skipped
)

SELECT shown.*, e.product_description, e.flag
FROM shown
LEFT JOIN product_elasticity AS e ON e.category = shown.category AND e.product = shown.product
ORDER BY {order}, shown.category, shown.product

-- name: recommendation_keys
SELECT category, product, price_recommended
FROM ({recommendations})
WHERE list_contains($actions, action)
ORDER BY gain DESC, category, product
LIMIT $most

-- name: attributes_of_products
SELECT column_name
FROM duckdb_columns()
WHERE database_name = current_database() AND table_name = 'recommended_prices'
    AND NOT list_contains($columns, column_name)
ORDER BY column_index

-- name: all_categories
SELECT category FROM category_elasticity ORDER BY category

-- name: values_of_attribute
-- The most frequent ones.
SELECT {attribute}::VARCHAR AS value
FROM recommended_prices
WHERE {attribute} IS NOT NULL
GROUP BY value
ORDER BY count(*) DESC, value
LIMIT $most

-- name: refit_shown
SELECT refit_id, refitted_at, n_products FROM refits ORDER BY number DESC NULLS LAST, refitted_at DESC LIMIT 1
