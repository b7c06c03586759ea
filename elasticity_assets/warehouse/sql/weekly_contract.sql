-- What weekly_sales must never hold: each fault with how many rows have it, and one of them. No row is no fault.
WITH faults AS (
    SELECT 'a blank category' AS fault, category, product, period_start
    FROM weekly_sales
    WHERE coalesce(trim(category), '') = ''
    UNION ALL
    SELECT 'a blank product', category, product, period_start
    FROM weekly_sales
    WHERE coalesce(trim(product), '') = ''
    UNION ALL
    SELECT 'no period', category, product, period_start
    FROM weekly_sales
    WHERE period_start IS NULL
    UNION ALL
    SELECT 'a period in the future', category, product, period_start
    FROM weekly_sales
    WHERE period_start > current_date
    UNION ALL
    SELECT 'a product-period twice', category, product, period_start
    FROM weekly_sales
    GROUP BY category, product, period_start
    HAVING count(*) > 1
    UNION ALL
    SELECT 'units that are negative or no number', category, product, period_start
    FROM weekly_sales
    WHERE (units >= 0 AND isfinite(units)) IS NOT TRUE
    UNION ALL
    SELECT 'a price that is not positive or no number', category, product, period_start
    FROM weekly_sales
    WHERE (price > 0 AND isfinite(price)) IS NOT TRUE
)

SELECT
    fault,
    count(*) AS n_rows,
    format('{}, {}, {}', min(category), min(product), min(period_start)) AS example
FROM faults
GROUP BY fault
ORDER BY fault
