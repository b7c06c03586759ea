-- name: read_rows
CREATE OR REPLACE TEMP TABLE read_rows AS SELECT {columns} FROM delivered

-- name: names_that_are_values
SELECT count_if(number_of_text(name, '.', NULL) IS NOT NULL OR number_of_text(name, ',', NULL) IS NOT NULL OR iso_date(name, 'UTC') IS NOT NULL)
FROM (SELECT unnest($names) AS name)

-- name: currencies_of_column
-- Signs and codes of currencies in one row of a hundred or more.
SELECT currency FROM (
    SELECT regexp_extract(CAST({column} AS VARCHAR), '\p{{Sc}}|\b[A-Z]{{3}}\b') AS currency, count(*) AS n FROM delivered GROUP BY ALL
)
WHERE currency <> '' AND n >= 0.01 * (SELECT count(*) FROM delivered)
ORDER BY n DESC
