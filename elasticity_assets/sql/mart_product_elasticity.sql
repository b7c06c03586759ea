-- The products' rows as published: with their descriptions; those of a category whose fit failed are the
-- last ones, and say so.
SELECT
    e.* REPLACE (
        coalesce(p.product_description, e.product_description) AS product_description,
        CASE
            WHEN e.category IN (SELECT unnest($failed::VARCHAR[])) THEN
                concat_ws('; ', e.flag, 'old: this refit failed, numbers are of ' || strftime(e.fitted_at, '%Y-%m-%d'))
            ELSE e.flag
        END AS flag
    )
FROM product_elasticity AS e
LEFT JOIN products AS p ON e.category = p.category AND e.product = p.product
