-- name: create_table
CREATE TABLE IF NOT EXISTS {table} ({columns})

-- name: table_columns
SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() AND table_name = $table

-- name: add_column
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {type} DEFAULT {default}

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
