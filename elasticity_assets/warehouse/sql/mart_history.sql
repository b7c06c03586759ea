-- This refit's rows of elasticity_history.
SELECT
    p.category,
    p.product,
    r.refit_id,
    r.refitted_at,
    p.elasticity,
    p.elasticity_sd
FROM product_elasticity AS p
CROSS JOIN this_refit AS r
