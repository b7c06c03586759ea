-- name: days_of_values
-- The days that the values of a column are read as, and how many rows are.
SELECT list_sort(list(DISTINCT day)), coalesce(sum(n), 0)
FROM (SELECT {day} AS day, n FROM column_values)
WHERE day IS NOT NULL

-- name: value_without_day
SELECT min(x), sum(n), count_if(regexp_matches(x, '\d')) FROM column_values WHERE x IS NOT NULL AND {day} IS NULL

-- name: rows_backwards
-- How often a row's day lies before that of the row above, in the file's order.
SELECT count_if(day < above)
FROM (
    SELECT day, lag(day) OVER (ORDER BY place) AS above
    FROM (SELECT rowid AS place, CAST({day} AS DATE) AS day FROM (SELECT rowid, {text} AS x FROM delivered LIMIT 200000))
)

-- name: parts_beside_days
-- Whether a column of months is the month of the day.
SELECT count_if(part = month(day)), count(*)
FROM (SELECT TRY_CAST({part} AS DOUBLE) AS part, {day} AS day FROM (SELECT {part}, {text} AS x FROM delivered LIMIT 200000))
WHERE part IS NOT NULL AND day IS NOT NULL
