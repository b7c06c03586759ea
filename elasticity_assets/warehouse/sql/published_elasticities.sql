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
