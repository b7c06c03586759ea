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

-- name: recommendation_totals
-- By action: how many, and what they bring together, of how much today. The ends of the intervals are added up, as if all
-- estimates erred the same way.
SELECT
    action,
    count(*) AS products,
    bool_and(gain_of = 'profit') AS all_in_profit,
    bool_or(gain_of = 'units') AS in_units,
    [sum(profit_change), sum(profit_change_q05), sum(profit_change_q95)] AS profit,
    [sum(revenue_change), sum(revenue_change_q05), sum(revenue_change_q95)] AS revenue,
    [sum(units_change), sum(units_change_q05), sum(units_change_q95)] AS units
FROM ({recommendations})
GROUP BY action

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
