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
    list_contains((SELECT failed FROM ({refits}) ORDER BY number DESC LIMIT 1), c.category) AS old
FROM category_elasticity AS c
INNER JOIN fit_diagnostics AS d USING (category)
ORDER BY c.category

-- name: failed_checks
-- Last results that were negative, errors first; of the categories of a check, those that come first by name.
SELECT
    "check",
    asset,
    severity,
    list(category ORDER BY category) AS categories,
    list(message ORDER BY category) AS messages,
    min(evaluated_at) AS since
FROM check_results
WHERE NOT passed
GROUP BY ALL
ORDER BY severity, asset, "check"

-- name: last_evaluation
SELECT max(evaluated_at) FROM check_results
