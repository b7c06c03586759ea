-- name: read_rows
CREATE OR REPLACE TEMP TABLE read_rows AS SELECT {columns} FROM delivered

-- name: names_that_are_values
SELECT count_if(number_of_text(name, '.', NULL) IS NOT NULL OR number_of_text(name, ',', NULL) IS NOT NULL OR iso_date(name, 'UTC') IS NOT NULL)
FROM (SELECT unnest($names) AS name)

-- name: currencies_of_column
-- Signs and codes of currencies in one row of a hundred or more.
SELECT currency FROM (
    SELECT currency_mark(CAST({column} AS VARCHAR)) AS currency, count(*) AS n
    FROM delivered
    WHERE length(CAST({column} AS VARCHAR)) <= 60
    GROUP BY ALL
)
WHERE currency IS NOT NULL AND n >= 0.01 * (SELECT count(*) FROM delivered)
ORDER BY n DESC
