-- name: published_elasticities
-- The categories' elasticities and, last, the global one.
(
    SELECT
        category,
        n_products,
        elasticity,
        elasticity_q05,
        elasticity_q95
    FROM category_elasticity
    ORDER BY category
)
UNION ALL
SELECT
    'all categories',
    n_products,
    elasticity,
    elasticity_q05,
    elasticity_q95
FROM global_elasticity

-- name: published_fits
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
