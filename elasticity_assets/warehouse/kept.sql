-- name: numbered_refits
-- Refits, numbered in the order in which they were published, whatever the clock said. Those that an earlier version
-- published have no number, and come first, by time.
SELECT * REPLACE (row_number() OVER (ORDER BY number NULLS FIRST, refitted_at) AS number)
FROM (SELECT CAST(NULL AS BIGINT) AS number WHERE false UNION ALL BY NAME FROM refits)

-- name: refit_numbers
SELECT refit_id, number FROM ({refits}) ORDER BY number
