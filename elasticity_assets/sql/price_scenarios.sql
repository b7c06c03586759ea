-- price_scenarios of some categories, -20% to +20% by 5%.
INSERT INTO price_scenarios BY NAME
{price_change}
FROM product_elasticity AS s
CROSS JOIN (SELECT step / 20.0 AS price_change FROM range(-4, 5) AS steps (step)) AS changes
WHERE s.category IN (SELECT unnest($categories::VARCHAR[]))
ORDER BY s.category, s.product, price_change
