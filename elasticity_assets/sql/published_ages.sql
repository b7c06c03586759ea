-- How old each category's published fit is, and how many periods its newest sales lie behind the newest of all.
SELECT
    c.category,
    date_diff('second', c.fitted_at, CAST($now AS TIMESTAMP)) / 86400.0 AS days,
    (
        SELECT count(DISTINCT s.period_start)
        FROM weekly_sales AS s
        WHERE s.period_start > coalesce(
            (SELECT max(own.period_start) FROM weekly_sales AS own WHERE own.category = c.category),
            DATE '0001-01-01'
        )
    ) AS periods_behind
FROM category_elasticity AS c
ORDER BY c.category
