-- name: keep_prices
CREATE OR REPLACE TEMP TABLE prices AS FROM delivered

-- name: units_and_prices
CREATE OR REPLACE TEMP TABLE units_and_prices AS
SELECT delivered.*, {columns} FROM delivered JOIN prices ON {same}

-- name: unpivot_measure
CREATE OR REPLACE TEMP TABLE {table} AS
UNPIVOT (SELECT rowid AS "row of file", {columns} FROM {source}) ON {columns} INTO NAME "column of file" VALUE {measure}

-- name: write_long
COPY (
    SELECT {ids}, periods.period AS {period}, {measures}
    FROM {source}
    JOIN {first} ON {source}.rowid = {first}."row of file"
    JOIN (SELECT unnest($columns) AS "column of file", unnest($periods) AS period) AS periods USING ("column of file")
    {others}
    ORDER BY {source}.rowid, periods.period
) TO {path} (FORMAT csv, HEADER)
