SELECT reason, count(*) AS n
FROM raw_sales
WHERE reason IS NOT NULL AND ($file_id IS NULL OR file_id = $file_id)
GROUP BY reason
ORDER BY n DESC, reason
