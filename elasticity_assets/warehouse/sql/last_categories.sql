-- Categories of the last refit.
SELECT DISTINCT category
FROM elasticity_history
WHERE refit_id = (SELECT refit_id FROM refits ORDER BY refitted_at DESC LIMIT 1)
ORDER BY category
