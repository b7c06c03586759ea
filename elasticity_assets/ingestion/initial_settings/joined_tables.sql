-- name: create_beside
CREATE OR REPLACE TEMP TABLE {table} AS SELECT {columns} FROM {source} AS {row}

-- name: rows_of_keys
SELECT count(*), count(DISTINCT ({key})) FROM {table}

-- name: repeated_key
SELECT {shown} FROM {table} GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1

-- name: rows_with_partner
SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM {table} WHERE {same})), count(*) FROM delivered

-- name: join_beside
CREATE OR REPLACE TEMP TABLE delivered AS
SELECT delivered.*, {columns} FROM delivered LEFT JOIN {table} ON {same}
