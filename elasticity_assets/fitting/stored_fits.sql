-- name: fit_failures
-- Categories whose last fit failed.
SELECT
    category,
    failed_at,
    reason
FROM fit_failures
ORDER BY category

-- name: fits_of_table
-- The fit, or fits, that each category's rows in a table come from.
SELECT DISTINCT
    category,
    fit_id
FROM {table}
