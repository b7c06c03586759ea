-- The last refit.
SELECT
    refit_id,
    refitted_at,
    rows_in,
    rows_used,
    rows_rejected,
    failed
FROM refits
ORDER BY refitted_at DESC
LIMIT 1
