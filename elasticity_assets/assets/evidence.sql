-- name: cross_checked
-- When each category was last held against NUTS.
SELECT
    category,
    checked_at
FROM nuts_cross_check
