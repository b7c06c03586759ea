-- name: recommendations_by_filters
-- Rows of recommended_prices without their attributes, which may have any name; the gain is in what the settings ask for:
-- units, or profit where costs are given, or revenue.
SELECT
    *,
    CASE gain_of WHEN 'units' THEN units_change WHEN 'profit' THEN profit_change ELSE revenue_change END AS gain,
    CASE gain_of
        WHEN 'units' THEN units_change_q05 WHEN 'profit' THEN profit_change_q05 ELSE revenue_change_q05
    END AS gain_q05,
    CASE gain_of
        WHEN 'units' THEN units_change_q95 WHEN 'profit' THEN profit_change_q95 ELSE revenue_change_q95
    END AS gain_q95,
    price_recommended / price_now - 1 AS price_change
FROM (
    SELECT
        {columns},
        CASE
            WHEN $objective = 'units' THEN 'units'
            WHEN $objective = 'profit' AND profit_change IS NOT NULL THEN 'profit'
            ELSE 'revenue'
        END AS gain_of
    FROM recommended_prices AS r
    WHERE
        r.zone IS NOT DISTINCT FROM $zone
        AND (len($categories) = 0 OR list_contains($categories, r.category)) {further}
)

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
SELECT action, count(*) AS products
FROM ({recommendations})
GROUP BY action

-- name: recommendation_sums
-- What the changes bring together, and its standard deviation: products whose price is kept sell more or less, too, where
-- those of substitutes change. How much a row's log units may err tells the part that comes of the product's own
-- elasticity. Of that, what comes of the category's elasticity is one for all its products; it has another sign for dearer
-- products than for cheaper ones. All else comes of substitutes' prices and the category's index: one error for all of them.
SELECT gain_of, sum(products) AS products, sum(gain) AS expected, sqrt(sum(variance)) AS sd
FROM (
    SELECT
        gain_of,
        count(*) AS products,
        sum(gain) AS gain,
        power(sum(side * shared * own * sd), 2)
        + sum((1 - power(shared, 2)) * power(own * sd, 2))
        + power(sum(sqrt(1 - power(own, 2)) * sd), 2) AS variance
    FROM (
        SELECT
            *,
            CASE WHEN log_sd > 0 THEN least(slope_sd * abs(log_ratio) / log_sd, 1) ELSE 0 END AS own
        FROM (
            SELECT
                r.category,
                r.gain_of,
                r.gain,
                (r.gain_q95 - r.gain_q05) / (2 * $z90) AS sd,
                coalesce(z.units_per_period, e.units_per_period) AS sold,
                CASE
                    WHEN sold + r.units_change_q05 > 0
                    THEN ln((sold + r.units_change_q95) / (sold + r.units_change_q05)) / (2 * $z90)
                END AS log_sd,
                ln(r.price_recommended / r.price_now) AS log_ratio,
                sign(log_ratio) AS side,
                coalesce(z.elasticity_sd, t.elasticity_sd) AS slope_sd,
                -- In a zone its own part of the error is one for all products, too.
                least(sqrt(power({shared_sd}, 2) + power(coalesce(z.shared_sd, 0), 2)) / slope_sd, 1) AS shared
            FROM ({recommendations}) AS r
            INNER JOIN ({lasting}) AS t ON t.category = r.category AND t.product = r.product
            INNER JOIN product_elasticity AS e ON e.category = r.category AND e.product = r.product
            INNER JOIN category_elasticity AS c ON c.category = r.category
            LEFT JOIN zone_elasticity AS z
                ON z.category = r.category AND z.product = r.product AND z.zone = r.zone
        )
    )
    GROUP BY gain_of, category
)
GROUP BY gain_of
ORDER BY gain_of

-- name: most_frequent_rule
SELECT coalesce(binding_rule, '') AS rule
FROM ({recommendations})
GROUP BY rule
ORDER BY count(*) DESC, rule
LIMIT 1

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
SELECT category, product, zone, price_recommended
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

-- name: all_zones
SELECT DISTINCT zone FROM recommended_prices WHERE zone IS NOT NULL ORDER BY zone LIMIT $most

-- name: values_of_attribute
-- The most frequent ones.
SELECT {attribute}::VARCHAR AS value
FROM recommended_prices
WHERE {attribute} IS NOT NULL AND zone IS NULL
GROUP BY 1
ORDER BY count(*) DESC, 1
LIMIT $most

-- name: refit_shown
SELECT refit_id, refitted_at, n_products FROM refits ORDER BY number DESC NULLS LAST, refitted_at DESC LIMIT 1
