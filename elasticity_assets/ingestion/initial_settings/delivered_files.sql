-- name: create_delivered
CREATE OR REPLACE TEMP TABLE delivered AS SELECT {columns} FROM {source} AS {row} {sample}

-- name: add_delivered
INSERT INTO delivered BY NAME SELECT {columns} FROM {source} AS {row} {sample}

-- name: count_delivered
SELECT count(*) FROM delivered

-- name: forget_malformed_lines
DROP TABLE IF EXISTS temp.reject_errors;
DROP TABLE IF EXISTS temp.reject_scans

-- name: rows_of_file
SELECT count(*) FROM {source} AS {row}

-- name: malformed_lines
SELECT count(DISTINCT line) FROM reject_errors
