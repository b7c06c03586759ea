-- What a price change does to a product of product_elasticity s, at one price_change. Completed with FROM.
-- Changes are monotone in the elasticity, so quantiles map to quantiles, in either order.
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
    ) - 1 AS revenue_change_q95
