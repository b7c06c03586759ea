-- This refit's rows of elasticity_history.
SELECT
    category,
    product,
    $refit_id AS refit_id,
    $refitted_at::TIMESTAMP AS refitted_at,
    elasticity,
    elasticity_sd
FROM product_elasticity
