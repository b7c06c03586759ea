-- name: published_elasticities
-- The categories' elasticities and, last, the global one; NULL where they are not estimated.
WITH categories AS ({categories})
(
    SELECT
        category,
        n_products,
        CASE WHEN estimated THEN elasticity END,
        CASE WHEN estimated THEN elasticity_q05 END,
        CASE WHEN estimated THEN elasticity_q95 END
    FROM categories
    ORDER BY category
)
UNION ALL
SELECT
    'all categories',
    n_products,
    CASE WHEN estimated THEN elasticity END,
    CASE WHEN estimated THEN elasticity_q05 END,
    CASE WHEN estimated THEN elasticity_q95 END
FROM global_elasticity
CROSS JOIN (SELECT bool_or(estimated) AS estimated FROM categories)

-- name: recommended_changes
-- The price changes that bring most of what the settings ask for: units, or profit where costs are given, or revenue.
SELECT
    category,
    product,
    price_now,
    price_recommended,
    CASE gain_of WHEN 'units' THEN units_change WHEN 'profit' THEN profit_change ELSE revenue_change END AS gain,
    gain_of,
    prob_gain
FROM (
    SELECT
        *,
        CASE
            WHEN $objective = 'units' THEN 'units'
            WHEN $objective = 'profit' AND profit_change IS NOT NULL THEN 'profit'
            ELSE 'revenue'
        END AS gain_of
    FROM recommended_prices
    WHERE action <> 'keep' AND zone IS NULL
)
ORDER BY gain DESC, category, product
LIMIT $most

-- name: recommended_actions
SELECT action, count(*) FROM recommended_prices WHERE zone IS NULL GROUP BY action

-- name: published_categories
-- Files of an earlier version do not say which categories are estimated: `estimated` is then that of `otherwise`.
SELECT c.*
FROM (SELECT TRUE AS estimated) AS otherwise
CROSS JOIN LATERAL (
    SELECT category, n_products, elasticity, elasticity_q05, elasticity_q95, fitted_at, estimated
    FROM category_elasticity
) AS c

-- name: published_fits
-- Each category's published fit, and whether it is older than the last refit because a fit failed.
SELECT
    c.category,
    c.n_products,
    CASE WHEN c.estimated THEN c.elasticity END AS elasticity,
    c.fitted_at,
    d.engine,
    d.converged,
    list_contains((SELECT failed FROM ({refits}) ORDER BY number DESC LIMIT 1), c.category) AS old
FROM ({categories}) AS c
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
