-- name: price_scenarios
-- What price changes of a product alone, at once, lasting or of one period, or of its whole category, do to its units and
-- revenue. Both are monotone in the elasticity, so that quantiles map to quantiles, in either order; the middle one is the
-- median. NULL where a product has no row of its category's move. Prices that differ by less than a billionth count as
-- equal: quotients of equal prices may differ in their last digits. Rows of earlier versions know no latest price.
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
    power(1 + c.price_change, t.lasting_q50) - 1 AS lasting_units_change,
    least(
        power(1 + c.price_change, t.lasting_q05),
        power(1 + c.price_change, t.lasting_q95)
    ) - 1 AS lasting_units_change_q05,
    greatest(
        power(1 + c.price_change, t.lasting_q05),
        power(1 + c.price_change, t.lasting_q95)
    ) - 1 AS lasting_units_change_q95,
    power(1 + c.price_change, 1 + t.lasting_q50) - 1 AS lasting_revenue_change,
    least(
        power(1 + c.price_change, 1 + t.lasting_q05),
        power(1 + c.price_change, 1 + t.lasting_q95)
    ) - 1 AS lasting_revenue_change_q05,
    greatest(
        power(1 + c.price_change, 1 + t.lasting_q05),
        power(1 + c.price_change, 1 + t.lasting_q95)
    ) - 1 AS lasting_revenue_change_q95,
    power(1 + c.price_change, t.promotion_q50) - 1 AS promotion_units_change,
    least(
        power(1 + c.price_change, t.promotion_q05),
        power(1 + c.price_change, t.promotion_q95)
    ) - 1 AS promotion_units_change_q05,
    greatest(
        power(1 + c.price_change, t.promotion_q05),
        power(1 + c.price_change, t.promotion_q95)
    ) - 1 AS promotion_units_change_q95,
    power(1 + c.price_change, t.later_q50) - 1 AS promotion_later_units_change,
    least(
        power(1 + c.price_change, t.later_q05),
        power(1 + c.price_change, t.later_q95)
    ) - 1 AS promotion_later_units_change_q05,
    greatest(
        power(1 + c.price_change, t.later_q05),
        power(1 + c.price_change, t.later_q95)
    ) - 1 AS promotion_later_units_change_q95,
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
INNER JOIN (
    SELECT
        e.category,
        e.product,
        coalesce(r.lasting_q05, e.elasticity_long_run_q05, e.elasticity_q05) AS lasting_q05,
        coalesce(r.lasting_q50, e.elasticity_long_run_q50, e.elasticity_q50) AS lasting_q50,
        coalesce(r.lasting_q95, e.elasticity_long_run_q95, e.elasticity_q95) AS lasting_q95,
        coalesce(r.promotion_q05, e.elasticity_q05) AS promotion_q05,
        coalesce(r.promotion_q50, e.elasticity_q50) AS promotion_q50,
        coalesce(r.promotion_q95, e.elasticity_q95) AS promotion_q95,
        coalesce(k.elasticity_later_q05, 0) AS later_q05,
        coalesce(k.elasticity_later_q50, 0) AS later_q50,
        coalesce(k.elasticity_later_q95, 0) AS later_q95
    FROM {products} AS e
    LEFT JOIN (
        -- Slopes of which the category's prices say something: others are the prior's.
        SELECT
            q.category,
            q.product,
            CASE WHEN q.regular_moved THEN q.regular_elasticity_long_run_q05 END AS lasting_q05,
            CASE WHEN q.regular_moved THEN q.regular_elasticity_long_run_q50 END AS lasting_q50,
            CASE WHEN q.regular_moved THEN q.regular_elasticity_long_run_q95 END AS lasting_q95,
            CASE WHEN q.promoted THEN q.promotion_elasticity_q05 END AS promotion_q05,
            CASE WHEN q.promoted THEN q.promotion_elasticity_q50 END AS promotion_q50,
            CASE WHEN q.promoted THEN q.promotion_elasticity_q95 END AS promotion_q95
        FROM (
            SELECT
                two.*,
                max(two.log_regular_price_sd) OVER (PARTITION BY two.category) >= 1e-6 AS regular_moved,
                max(two.n_promotion_periods) OVER (PARTITION BY two.category) > 0 AS promoted
            FROM {slopes} AS two
        ) AS q
    ) AS r ON r.category = e.category AND r.product = e.product
    LEFT JOIN {categories} AS k ON k.category = e.category
) AS t ON t.category = s.category AND t.product = s.product
LEFT JOIN {moves} AS m ON m.category = s.category AND m.product = s.product

-- name: price_changes
-- From 20% cheaper to 20% dearer, by 5%.
SELECT unnest(range(-4, 5)) * 5 / 100 AS price_change

-- name: asked_price_change
-- The one that the macro is asked for: price_change on the left of AS is its parameter.
SELECT price_change::DOUBLE AS price_change
