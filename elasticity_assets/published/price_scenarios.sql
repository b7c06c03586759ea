-- name: lasting_slopes
-- How each product's units respond to a price that stays until it is changed again: the slope of the regular price, where
-- the category's regular prices changed (others are the prior's), else the one slope, once all lags see the price. Rows of
-- earlier versions know none.
SELECT
    e.category,
    e.product,
    coalesce(r.regular_elasticity_long_run, e.elasticity_long_run, e.elasticity) AS elasticity,
    coalesce(r.regular_elasticity_long_run_sd, e.elasticity_long_run_sd, e.elasticity_sd) AS elasticity_sd,
    coalesce(r.regular_elasticity_long_run_q05, e.elasticity_long_run_q05, e.elasticity_q05) AS elasticity_q05,
    coalesce(r.regular_elasticity_long_run_q50, e.elasticity_long_run_q50, e.elasticity_q50) AS elasticity_q50,
    coalesce(r.regular_elasticity_long_run_q95, e.elasticity_long_run_q95, e.elasticity_q95) AS elasticity_q95,
    coalesce(r.log_regular_price_sd >= 1e-6, true) AS of_own_prices
FROM {products} AS e
LEFT JOIN (
    FROM {slopes} QUALIFY max(log_regular_price_sd) OVER (PARTITION BY category) >= 1e-6
) AS r ON r.category = e.category AND r.product = e.product

-- name: price_scenarios
-- What price changes of a product alone, at once, lasting or of one period, or of its whole category, do to its units and
-- revenue. A power is monotone in its exponent, so that quantiles map to quantiles: `low` and `high` are the exponents that
-- give the lower and the upper end. The middle one is the median. NULL where a product has no row of its category's move,
-- and of promotions that are dearer. Prices that differ by less than a billionth count as equal: quotients of equal prices
-- may differ in their last digits. Rows of earlier versions know no latest price.
SELECT
    s.category,
    s.product,
    s.price_change,
    s.price_now * s.ratio AS price,
    power(s.ratio, s.own_q50) - 1 AS units_change,
    power(s.ratio, s.own_low) - 1 AS units_change_q05,
    power(s.ratio, s.own_high) - 1 AS units_change_q95,
    power(s.ratio, 1 + s.own_q50) - 1 AS revenue_change,
    power(s.ratio, 1 + s.own_low) - 1 AS revenue_change_q05,
    power(s.ratio, 1 + s.own_high) - 1 AS revenue_change_q95,
    s.units_per_period * power(s.ratio, s.own_q50) AS units_per_period,
    s.revenue_per_period * power(s.ratio, 1 + s.own_q50) AS revenue_per_period,
    power(s.ratio, s.lasting_q50) - 1 AS lasting_units_change,
    power(s.ratio, s.lasting_low) - 1 AS lasting_units_change_q05,
    power(s.ratio, s.lasting_high) - 1 AS lasting_units_change_q95,
    power(s.ratio, 1 + s.lasting_q50) - 1 AS lasting_revenue_change,
    power(s.ratio, 1 + s.lasting_low) - 1 AS lasting_revenue_change_q05,
    power(s.ratio, 1 + s.lasting_high) - 1 AS lasting_revenue_change_q95,
    CASE WHEN s.ratio <= 1 THEN power(s.ratio, s.promotion_q50) - 1 END AS promotion_units_change,
    CASE WHEN s.ratio <= 1 THEN power(s.ratio, s.promotion_low) - 1 END AS promotion_units_change_q05,
    CASE WHEN s.ratio <= 1 THEN power(s.ratio, s.promotion_high) - 1 END AS promotion_units_change_q95,
    CASE WHEN s.ratio <= 1 THEN power(s.ratio, s.later_q50) - 1 END AS promotion_later_units_change,
    CASE WHEN s.ratio <= 1 THEN power(s.ratio, s.later_low) - 1 END AS promotion_later_units_change_q05,
    CASE WHEN s.ratio <= 1 THEN power(s.ratio, s.later_high) - 1 END AS promotion_later_units_change_q95,
    power(s.ratio, s.move_q50) - 1 AS category_units_change,
    power(s.ratio, s.move_low) - 1 AS category_units_change_q05,
    power(s.ratio, s.move_high) - 1 AS category_units_change_q95,
    power(s.ratio, 1 + s.move_q50) - 1 AS category_revenue_change,
    power(s.ratio, 1 + s.move_low) - 1 AS category_revenue_change_q05,
    power(s.ratio, 1 + s.move_high) - 1 AS category_revenue_change_q95,
    s.estimated,
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
FROM (
    SELECT
        e.category,
        e.product,
        c.price_change,
        1 + c.price_change AS ratio,
        coalesce(e.price_latest, e.price_mean) AS price_now,
        e.price_min,
        e.price_max,
        e.units_per_period,
        e.revenue_per_period,
        e.estimated,
        e.elasticity_q50 AS own_q50,
        CASE WHEN ratio < 1 THEN e.elasticity_q95 ELSE e.elasticity_q05 END AS own_low,
        CASE WHEN ratio < 1 THEN e.elasticity_q05 ELSE e.elasticity_q95 END AS own_high,
        t.elasticity_q50 AS lasting_q50,
        CASE WHEN ratio < 1 THEN t.elasticity_q95 ELSE t.elasticity_q05 END AS lasting_low,
        CASE WHEN ratio < 1 THEN t.elasticity_q05 ELSE t.elasticity_q95 END AS lasting_high,
        coalesce(p.promotion_elasticity_q50, e.elasticity_q50) AS promotion_q50,
        CASE WHEN ratio < 1 THEN coalesce(p.promotion_elasticity_q95, e.elasticity_q95) ELSE 0 END AS promotion_low,
        CASE WHEN ratio < 1 THEN coalesce(p.promotion_elasticity_q05, e.elasticity_q05) ELSE 0 END AS promotion_high,
        coalesce(k.elasticity_later_q50, 0) AS later_q50,
        CASE WHEN ratio < 1 THEN coalesce(k.elasticity_later_q95, 0) ELSE 0 END AS later_low,
        CASE WHEN ratio < 1 THEN coalesce(k.elasticity_later_q05, 0) ELSE 0 END AS later_high,
        m.elasticity_q50 AS move_q50,
        CASE WHEN ratio < 1 THEN m.elasticity_q95 ELSE m.elasticity_q05 END AS move_low,
        CASE WHEN ratio < 1 THEN m.elasticity_q05 ELSE m.elasticity_q95 END AS move_high
    FROM {products} AS e
    CROSS JOIN ({changes}) AS c
    INNER JOIN ({lasting}) AS t ON t.category = e.category AND t.product = e.product
    LEFT JOIN (
        FROM {slopes} QUALIFY max(n_promotion_periods) OVER (PARTITION BY category) > 0
    ) AS p ON p.category = e.category AND p.product = e.product
    LEFT JOIN {categories} AS k ON k.category = e.category
    LEFT JOIN {moves} AS m ON m.category = e.category AND m.product = e.product
) AS s

-- name: price_changes
-- From 20% cheaper to 20% dearer, by 5%.
SELECT unnest(range(-4, 5)) * 5 / 100 AS price_change

-- name: asked_price_change
-- The one that the macro is asked for: price_change on the left of AS is its parameter.
SELECT price_change::DOUBLE AS price_change
