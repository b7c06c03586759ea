-- Qualified, so that it also works where the file is attached to another one.
CREATE MACRO {database}.main.price_scenario(product, price_change) AS TABLE
{scenarios}
WHERE s.product = product AND price_change > -1
ORDER BY s.category
