-- Each category's published fit, and whether it is older than the last refit because a fit failed.
SELECT
    c.category,
    c.n_products,
    c.elasticity,
    c.fitted_at,
    d.engine,
    d.converged,
    list_contains((SELECT failed FROM refits ORDER BY refitted_at DESC LIMIT 1), c.category) AS old
FROM category_elasticity AS c
INNER JOIN fit_diagnostics AS d USING (category)
ORDER BY c.category
