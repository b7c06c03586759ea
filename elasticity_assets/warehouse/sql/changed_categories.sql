-- Products delivered in several categories, the latest last.
SELECT c.product, list(f.category ORDER BY f.category = c.category, f.last_day, f.category)
FROM (SELECT spelling, category, max(last_day) AS last_day FROM product_facts GROUP BY spelling, category) AS f
JOIN product_codes AS c ON c.spelling = f.spelling
GROUP BY c.product
HAVING count(DISTINCT f.category) > 1
ORDER BY c.product
