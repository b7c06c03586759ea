-- name: group_of_category
-- The products that sell for most.
SELECT product
FROM product_elasticity
WHERE category = $category
ORDER BY product = $product DESC, revenue_per_period DESC NULLS LAST, product
LIMIT $most

-- name: group_of_substitutes
-- The product, and those whose price matters most for its units.
SELECT $product AS product
UNION ALL
SELECT product
FROM (
    SELECT other_product AS product
    FROM cross_elasticity
    WHERE category = $category AND cross_elasticity.product = $product
    ORDER BY abs(elasticity) DESC, other_product
    LIMIT $most - 1
)

-- name: group_to_move
-- What the choice of prices knows of these products, and how much of each error is the category's.
SELECT
    p.*,
    e.product_description,
    e.flag,
    r.price_recommended,
    1 / greatest(c.n_sold, 1) AS index_weight,
    {shared_sd} AS shared_sd
FROM ({products}) AS p
INNER JOIN product_elasticity AS e ON e.category = p.category AND e.product = p.product
INNER JOIN (
    SELECT s.*, (SELECT count(*) FROM product_elasticity AS o WHERE o.category = s.category AND o.units_per_period > 0) AS n_sold
    FROM category_elasticity AS s
) AS c ON c.category = p.category
LEFT JOIN recommended_prices AS r ON r.category = p.category AND r.product = p.product AND r.zone IS NULL
WHERE p.category = $category AND list_contains($products, p.product)
ORDER BY list_position($products, p.product)

-- name: cross_effects_in_group
-- Products are named by their places in the list, from 0.
SELECT
    list_position($products, other_product) - 1 AS changed,
    list_position($products, product) - 1 AS affected,
    elasticity,
    elasticity_sd
FROM cross_elasticity
WHERE category = $category AND list_contains($products, product) AND list_contains($products, other_product)
ORDER BY changed, affected
