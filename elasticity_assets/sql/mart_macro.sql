-- Qualified, so that it also works where the file is attached to another database.
CREATE MACRO {database}.main.price_scenario(product, price_change) AS TABLE
{price_change}
FROM {database}.main.product_elasticity AS s
WHERE s.product = product AND price_change > -1
ORDER BY s.category
