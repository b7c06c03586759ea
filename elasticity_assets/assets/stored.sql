-- name: table_categories
-- The categories that have rows in a table.
SELECT DISTINCT category
FROM {table}
