-- The categories whose rows in the products' and the categories' tables come from one fit.
SELECT p.category
FROM (
    SELECT
        category,
        any_value(fit_id) AS fit_id
    FROM product_elasticity
    GROUP BY category
    HAVING count(DISTINCT fit_id) = 1
) AS p
INNER JOIN category_elasticity AS c ON p.category = c.category AND p.fit_id = c.fit_id
INNER JOIN fit_diagnostics AS d ON p.category = d.category AND p.fit_id = d.fit_id
