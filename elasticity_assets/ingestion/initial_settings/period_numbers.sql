-- name: starts_of_labels
-- How many values are no label of a period, bare numbers among them; and the starts of those that are.
SELECT
    count(*) FILTER (WHERE start IS NULL),
    list_sort(list(DISTINCT start))
FROM (
    SELECT CASE WHEN NOT regexp_full_match(x, '-?\d{{1,4}}') THEN CAST(start_of_period(x, {period}, 'iso') AS DATE) END AS start
    FROM column_values
    WHERE x IS NOT NULL
)

-- name: lines_per_number
-- How many lines there are, and how many different product, store and period numbers.
SELECT count(*), count(DISTINCT ({key})) FROM delivered

-- name: years_with_week_53
SELECT DISTINCT TRY_CAST({year} AS INTEGER) FROM delivered WHERE TRY_CAST({week} AS INTEGER) = 53 AND TRY_CAST({year} AS INTEGER) IS NOT NULL ORDER BY 1
