-- name: products_with_price_changes
SELECT count(*) FILTER (WHERE cheapest < 0.995 * dearest), count(*)
FROM (SELECT min(price) AS cheapest, max(price) AS dearest FROM weekly_sales WHERE units > 0 GROUP BY product)
