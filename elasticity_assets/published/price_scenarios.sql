-- name: price_scenarios
-- What price changes of a product alone, or of its whole category, do to its units and revenue. Both are monotone in the
-- elasticity, so that quantiles map to quantiles, in either order; the middle one is the median. NULL where a product
-- has no row of its category's move. Prices that differ by less than a billionth count as equal: quotients of equal
-- prices may differ in their last digits. Rows of earlier versions know no latest price.
SELECT
    s.category AS category,
    s.product AS product,
    c.price_change AS price_change,
    coalesce(s.price_latest, s.price_mean) * (1 + c.price_change) AS price,
    power(1 + c.price_change, s.elasticity_q50) - 1 AS units_change,
    least(
        power(1 + c.price_change, s.elasticity_q05),
        power(1 + c.price_change, s.elasticity_q95)
    ) - 1 AS units_change_q05,
    greatest(
        power(1 + c.price_change, s.elasticity_q05),
        power(1 + c.price_change, s.elasticity_q95)
    ) - 1 AS units_change_q95,
    power(1 + c.price_change, 1 + s.elasticity_q50) - 1 AS revenue_change,
    least(
        power(1 + c.price_change, 1 + s.elasticity_q05),
        power(1 + c.price_change, 1 + s.elasticity_q95)
    ) - 1 AS revenue_change_q05,
    greatest(
        power(1 + c.price_change, 1 + s.elasticity_q05),
        power(1 + c.price_change, 1 + s.elasticity_q95)
    ) - 1 AS revenue_change_q95,
    s.units_per_period * power(1 + c.price_change, s.elasticity_q50) AS units_per_period,
    s.revenue_per_period * power(1 + c.price_change, 1 + s.elasticity_q50) AS revenue_per_period,
    power(1 + c.price_change, m.elasticity_q50) - 1 AS category_units_change,
    least(
        power(1 + c.price_change, m.elasticity_q05),
        power(1 + c.price_change, m.elasticity_q95)
    ) - 1 AS category_units_change_q05,
    greatest(
        power(1 + c.price_change, m.elasticity_q05),
        power(1 + c.price_change, m.elasticity_q95)
    ) - 1 AS category_units_change_q95,
    power(1 + c.price_change, 1 + m.elasticity_q50) - 1 AS category_revenue_change,
    least(
        power(1 + c.price_change, 1 + m.elasticity_q05),
        power(1 + c.price_change, 1 + m.elasticity_q95)
    ) - 1 AS category_revenue_change_q05,
    greatest(
        power(1 + c.price_change, 1 + m.elasticity_q05),
        power(1 + c.price_change, 1 + m.elasticity_q95)
    ) - 1 AS category_revenue_change_q95,
    price < s.price_min * (1 - 1e-9) OR price > s.price_max * (1 + 1e-9) AS extrapolated,
    CASE
        WHEN extrapolated
        THEN concat(
            'outside the prices observed: ',
            printf(CASE WHEN s.price_min >= 1 THEN '%.2f' ELSE '%.4g' END, s.price_min),
            ' to ',
            printf(CASE WHEN s.price_max >= 1 THEN '%.2f' ELSE '%.4g' END, s.price_max)
        )
    END AS flag
FROM {products} AS s
CROSS JOIN ({changes}) AS c
LEFT JOIN {moves} AS m ON m.category = s.category AND m.product = s.product

-- name: price_changes
-- From 20% cheaper to 20% dearer, by 5%.
SELECT unnest(range(-4, 5)) * 5 / 100 AS price_change

-- name: asked_price_change
-- The one that the macro is asked for: price_change on the left of AS is its parameter.
SELECT price_change::DOUBLE AS price_change
