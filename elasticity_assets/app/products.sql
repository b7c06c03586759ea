-- name: products_found
-- By code or description, those that sell for most first.
SELECT category, product, product_description
FROM product_elasticity
WHERE contains(lower(product), lower($text)) OR contains(lower(product_description), lower($text))
ORDER BY lower(product) = lower($text) DESC, revenue_per_period DESC NULLS LAST, category, product
LIMIT $most

-- name: one_product
FROM product_elasticity WHERE category = $category AND product = $product

-- name: one_recommendation
FROM recommended_prices WHERE category = $category AND product = $product AND zone IS NULL

-- name: prices_in_zones
-- Those that gain most first.
SELECT
    r.zone,
    r.action,
    r.price_now,
    r.price_recommended,
    CASE
        WHEN $objective = 'units' THEN r.units_change
        WHEN $objective = 'profit' AND r.profit_change IS NOT NULL THEN r.profit_change
        ELSE r.revenue_change
    END AS gain,
    r.prob_gain,
    r.reason,
    z.elasticity,
    z.elasticity_q05,
    z.elasticity_q95
FROM recommended_prices AS r
INNER JOIN zone_elasticity AS z ON z.category = r.category AND z.product = r.product AND z.zone = r.zone
WHERE r.category = $category AND r.product = $product
ORDER BY gain DESC, r.zone
LIMIT $most

-- name: uniform_pricing_of_product
FROM uniform_pricing WHERE category = $category AND product = $product

-- name: one_test
FROM recommended_tests WHERE category = $category AND product = $product

-- name: last_periods
-- The product's last periods, in their order.
FROM (
    SELECT period_start, price, units
    FROM weekly_sales
    WHERE category = $category AND product = $product
    ORDER BY period_start DESC
    LIMIT $most
)
ORDER BY period_start

-- name: last_refits
FROM (
    SELECT refitted_at, elasticity, elasticity_q05, elasticity_q95
    FROM elasticity_history
    WHERE category = $category AND product = $product
    ORDER BY refitted_at DESC
    LIMIT $most
)
ORDER BY refitted_at

-- name: substitutes_of
-- Those whose price matters most for the product's units.
SELECT
    c.other_product AS product,
    e.product_description,
    e.price_latest,
    c.elasticity,
    c.elasticity_q05,
    c.elasticity_q95
FROM cross_elasticity AS c
LEFT JOIN product_elasticity AS e ON e.category = c.category AND e.product = c.other_product
WHERE c.category = $category AND c.product = $product
ORDER BY abs(c.elasticity) DESC, c.other_product
LIMIT $most

-- name: causal_verdict
SELECT
    verdict,
    prices_follow_demand,
    strongest_control,
    strongest_control_of_sales,
    strongest_control_of_prices
FROM causal_evidence
WHERE category = $category
