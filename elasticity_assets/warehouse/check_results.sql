-- name: forget_check_results
-- What other results come for, what belongs to categories that have no sales any more, and of a check that was of
-- everything and now is of categories, or the other way round, what it was.
DELETE FROM check_results AS r
WHERE EXISTS (
        SELECT 1
        FROM (SELECT unnest($check::VARCHAR[]) AS "check", unnest($asset::VARCHAR[]) AS asset, unnest($category::VARCHAR[]) AS category) AS new
        WHERE new."check" = r."check" AND new.asset = r.asset AND (new.category = r.category OR (new.category = '') <> (r.category = ''))
    )
    OR (r.category <> '' AND NOT EXISTS (SELECT 1 FROM products AS p WHERE p.category = r.category))

-- name: insert_check_results
INSERT INTO check_results BY NAME
SELECT
    unnest($check::VARCHAR[]) AS "check",
    unnest($asset::VARCHAR[]) AS asset,
    unnest($category::VARCHAR[]) AS category,
    unnest($passed::BOOLEAN[]) AS passed,
    unnest($severity::VARCHAR[]) AS severity,
    unnest($message::VARCHAR[]) AS message,
    unnest($evaluated_at::TIMESTAMP[]) AS evaluated_at,
    unnest($refit_id::VARCHAR[]) AS refit_id

-- name: forget_other_checks
-- Results of checks that are not among these.
DELETE FROM check_results
WHERE ("check", asset) NOT IN (SELECT (unnest($checks::VARCHAR[]), unnest($assets::VARCHAR[])))
