-- A table's rows of some categories.
SELECT *
FROM {table}
WHERE category IN (SELECT unnest($categories::VARCHAR[]))
ORDER BY ALL
