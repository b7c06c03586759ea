-- name: read_rows
CREATE OR REPLACE TEMP TABLE read_rows AS SELECT {columns} FROM delivered

-- name: names_that_are_values
SELECT count_if(number_of_text(name, '.', NULL) IS NOT NULL OR number_of_text(name, ',', NULL) IS NOT NULL OR iso_date(name, 'UTC') IS NOT NULL)
FROM (SELECT unnest($names) AS name)
