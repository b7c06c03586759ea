-- name: reasons_of_files
-- Of one file or of all: why rows cannot be used, how many, and the first of them.
SELECT reason, count(*) AS n, arg_min("row", (file_id, line)) AS example
FROM raw_sales
WHERE reason IS NOT NULL AND ($file_id IS NULL OR file_id = $file_id)
GROUP BY reason
ORDER BY n DESC, reason
