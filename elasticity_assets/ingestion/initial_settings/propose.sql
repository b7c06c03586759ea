-- name: read_rows
CREATE OR REPLACE TEMP TABLE read_rows AS SELECT {columns} FROM delivered
