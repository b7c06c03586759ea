-- From 20% cheaper to 20% dearer, by 5%.
SELECT unnest(range(-4, 5)) * 5 / 100 AS price_change
