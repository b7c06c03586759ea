-- name: fits_of_table
-- The fit, or fits, that each category's rows in a table come from.
SELECT DISTINCT
    category,
    fit_id
FROM {table}
