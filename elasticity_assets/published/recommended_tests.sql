-- name: products_to_test
-- What the choice of tests knows of each product beside products_to_price, in its order.
SELECT
    r.product IS NOT NULL AS has_price,
    r.price_recommended,
    coalesce(r.binding_rule, '') AS binding_rule,
    e.log_units_sd,
    e.bias_per_confounding
FROM product_elasticity AS e
LEFT JOIN recommended_prices AS r ON r.category = e.category AND r.product = e.product AND r.zone IS NULL
ORDER BY e.category, e.product
