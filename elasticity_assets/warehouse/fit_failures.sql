-- name: fit_failures
-- Categories whose last fit failed.
SELECT
    category,
    failed_at,
    reason
FROM fit_failures
ORDER BY category
