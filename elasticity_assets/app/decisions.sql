-- name: decided_recommendations
SELECT d.decision, r.*, e.product_description
FROM recommended_prices AS r
INNER JOIN (
    SELECT
        unnest($categories::VARCHAR[]) AS category,
        unnest($products::VARCHAR[]) AS product,
        unnest($zones::VARCHAR[]) AS zone,
        unnest($prices::DOUBLE[]) AS price_recommended,
        unnest($decisions::VARCHAR[]) AS decision
) AS d
    ON d.category = r.category
    AND d.product = r.product
    AND d.zone IS NOT DISTINCT FROM r.zone
    AND d.price_recommended = r.price_recommended
LEFT JOIN product_elasticity AS e ON e.category = r.category AND e.product = r.product
ORDER BY d.decision, r.category, r.product, r.zone NULLS FIRST
