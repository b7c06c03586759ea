-- name: tests_found
SELECT t.*, e.product_description
FROM recommended_tests AS t
LEFT JOIN product_elasticity AS e ON e.category = t.category AND e.product = t.product
WHERE
    (len($categories) = 0 OR list_contains($categories, t.category))
    AND ($text = '' OR contains(lower(t.product), lower($text)) OR contains(lower(e.product_description), lower($text)))

-- name: tests_counted
SELECT count(*) FROM ({found})

-- name: tests_page
FROM ({found}) ORDER BY rank LIMIT $most OFFSET $skipped
