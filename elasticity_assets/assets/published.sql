-- name: published_ages
-- How old each category's published fit is, and how many periods its newest sales lie behind the newest of all.
WITH newest AS (
    SELECT category, max(period_start) AS period_start FROM weekly_sales GROUP BY category
), periods AS (
    SELECT DISTINCT period_start FROM weekly_sales
)
SELECT
    c.category,
    date_diff('second', c.fitted_at, CAST($now AS TIMESTAMP)) / 86400.0 AS days,
    count(p.period_start) AS periods_behind
FROM category_elasticity AS c
LEFT JOIN newest AS n ON n.category = c.category
LEFT JOIN periods AS p ON p.period_start > coalesce(n.period_start, DATE '0001-01-01')
GROUP BY c.category, c.fitted_at
ORDER BY c.category
