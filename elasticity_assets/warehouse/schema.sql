-- name: create_table
CREATE TABLE IF NOT EXISTS {table} ({columns})

-- name: create_table_anew
CREATE OR REPLACE TABLE {table} ({columns})

-- name: columns_there
-- Of all tables and views.
SELECT table_name, column_name
FROM duckdb_columns()
WHERE database_name = current_database()
ORDER BY table_name, column_index

-- name: add_column
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {type} {default}

-- name: comment_on_table
COMMENT ON TABLE {table} IS {comment}

-- name: comment_on_column
COMMENT ON COLUMN {table}.{column} IS {comment}

-- name: delete_rows
DELETE FROM {table}

-- name: delete_categories
DELETE FROM {table} WHERE category IN (SELECT unnest($categories::VARCHAR[]))

-- name: insert_rows
INSERT INTO {table} BY NAME SELECT {columns} FROM {source}
