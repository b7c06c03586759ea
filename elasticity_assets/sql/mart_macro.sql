-- What a price change does to a product. Changes are monotone in the elasticity, so that quantiles map to
-- quantiles, in either order. Qualified, so that it also works where the file is attached to another one.
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
    ) - 1 AS revenue_change_q95
FROM {database}.main.product_elasticity AS s
WHERE s.product = product AND price_change > -1
ORDER BY s.category
