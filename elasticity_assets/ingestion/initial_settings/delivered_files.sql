-- name: create_delivered
CREATE OR REPLACE TEMP TABLE delivered AS SELECT {columns} FROM {source} AS {row} {sample}

-- name: add_delivered
INSERT INTO delivered BY NAME SELECT {columns} FROM {source} AS {row} {sample}

-- name: count_delivered
SELECT count(*) FROM delivered
