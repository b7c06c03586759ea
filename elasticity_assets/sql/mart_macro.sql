-- What a price change, of a product alone or of its whole category, does to it. Changes are monotone in the
-- elasticity, so that quantiles map to quantiles, in either order. Qualified, so that it also works where the file is
-- attached to another one.
CREATE MACRO {database}.main.price_scenario(product, price_change) AS TABLE
SELECT
    s.category AS category,
    s.product AS product,
    price_change::DOUBLE AS price_change,
    power(1 + price_change::DOUBLE, s.elasticity_q50) - 1 AS units_change,
    least(
        power(1 + price_change::DOUBLE, s.elasticity_q05),
        power(1 + price_change::DOUBLE, s.elasticity_q95)
    ) - 1 AS units_change_q05,
    greatest(
        power(1 + price_change::DOUBLE, s.elasticity_q05),
        power(1 + price_change::DOUBLE, s.elasticity_q95)
    ) - 1 AS units_change_q95,
    power(1 + price_change::DOUBLE, 1 + s.elasticity_q50) - 1 AS revenue_change,
    least(
        power(1 + price_change::DOUBLE, 1 + s.elasticity_q05),
        power(1 + price_change::DOUBLE, 1 + s.elasticity_q95)
    ) - 1 AS revenue_change_q05,
    greatest(
        power(1 + price_change::DOUBLE, 1 + s.elasticity_q05),
        power(1 + price_change::DOUBLE, 1 + s.elasticity_q95)
    ) - 1 AS revenue_change_q95,
    power(1 + price_change::DOUBLE, m.elasticity_q50) - 1 AS category_units_change,
    least(
        power(1 + price_change::DOUBLE, m.elasticity_q05),
        power(1 + price_change::DOUBLE, m.elasticity_q95)
    ) - 1 AS category_units_change_q05,
    greatest(
        power(1 + price_change::DOUBLE, m.elasticity_q05),
        power(1 + price_change::DOUBLE, m.elasticity_q95)
    ) - 1 AS category_units_change_q95,
    power(1 + price_change::DOUBLE, 1 + m.elasticity_q50) - 1 AS category_revenue_change,
    least(
        power(1 + price_change::DOUBLE, 1 + m.elasticity_q05),
        power(1 + price_change::DOUBLE, 1 + m.elasticity_q95)
    ) - 1 AS category_revenue_change_q05,
    greatest(
        power(1 + price_change::DOUBLE, 1 + m.elasticity_q05),
        power(1 + price_change::DOUBLE, 1 + m.elasticity_q95)
    ) - 1 AS category_revenue_change_q95,
    CASE
        WHEN s.price_mean * (1 + price_change::DOUBLE) < s.price_min * (1 - 1e-9)
            OR s.price_mean * (1 + price_change::DOUBLE) > s.price_max * (1 + 1e-9)
        THEN concat(
            'outside the prices observed: ',
            printf(CASE WHEN s.price_min >= 1 THEN '%.2f' ELSE '%.4g' END, s.price_min),
            ' to ',
            printf(CASE WHEN s.price_max >= 1 THEN '%.2f' ELSE '%.4g' END, s.price_max)
        )
    END AS flag
FROM {database}.main.product_elasticity AS s
LEFT JOIN {database}.main.category_move_elasticity AS m ON m.category = s.category AND m.product = s.product
WHERE s.product = product AND price_change > -1
ORDER BY s.category
