-- name: begin_joined
CREATE OR REPLACE TEMP TABLE {table} AS

-- name: add_joined
INSERT INTO {table} BY NAME

-- name: load_joined
{into}
SELECT CAST($file AS VARCHAR) AS joined_file, {line} AS joined_line, {keys} {columns}
FROM {source} AS {row}

-- name: first_malformed_line
SELECT line, lower(CAST(error_type AS VARCHAR)) FROM reject_errors ORDER BY line LIMIT 1

-- name: count_joined
SELECT count(*) FROM {table} WHERE joined_file = $file

-- name: doubled_keys
SELECT {spelled}, count(*) AS n
FROM {table}
WHERE {given}
GROUP BY {keys}
HAVING count(*) > 1
ORDER BY {keys}
LIMIT 1

-- name: joined_rows
-- Each row of a file once, with the columns of its partners: their keys are unique.
(
    SELECT {row}_line, {without} AS without_partner, struct_pack({fields}) AS {row}
    FROM (SELECT {line} AS {row}_line, {row}.* FROM {source} AS {row}) AS {row} {joins}
)
