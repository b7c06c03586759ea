-- name: categories_of_products
SELECT DISTINCT category FROM products ORDER BY category

-- name: category_of_products
SELECT product, category FROM products WHERE list_contains(?::VARCHAR[], product)
