-- name: dependency
-- How many rows have the most frequent {other} of their {one}, of those with both.
SELECT coalesce(sum(most), 0), coalesce(sum(total), 0)
FROM (
    SELECT max(n) AS most, sum(n) AS total
    FROM (SELECT {one} AS one, {other} AS other, count(*) AS n FROM read_rows WHERE {one} IS NOT NULL AND {other} IS NOT NULL GROUP BY ALL)
    GROUP BY one
)

-- name: example_of_two
SELECT one, list(other)[1:2]
FROM (SELECT DISTINCT {one} AS one, {other} AS other FROM read_rows WHERE {one} IS NOT NULL AND {other} IS NOT NULL)
GROUP BY one
HAVING count(*) > 1
ORDER BY one
LIMIT 1

-- name: products_a_category
SELECT median(n), min(n), max(n) FROM (SELECT count(DISTINCT {product}) AS n FROM read_rows WHERE {category} IS NOT NULL GROUP BY {category})

-- name: lines_a_key
SELECT count(*), count(DISTINCT ({key})) FROM read_rows

-- name: codes_without_digit
SELECT upper({product}) AS code
FROM read_rows
WHERE NOT regexp_matches({product}, '\d')
GROUP BY code
ORDER BY count(*) DESC, code

-- name: totals_among
-- Values of a column whose units are, in nearly every period, those of all others together.
WITH sums AS (
    SELECT {column} AS value, {day} AS day, sum({units}) AS units
    FROM read_rows
    WHERE {column} IS NOT NULL AND {day} IS NOT NULL AND {units} IS NOT NULL
    GROUP BY ALL
), beside AS (
    SELECT value, units, sum(units) OVER (PARTITION BY day) - units AS others, count(*) OVER (PARTITION BY day) AS n
    FROM sums
)
SELECT value
FROM beside
GROUP BY value
HAVING count(*) >= 3 AND count_if(n >= 3 AND units > 0 AND abs(units - others) <= 0.005 * units) >= 0.95 * count(*)
ORDER BY value

-- name: values_like
SELECT DISTINCT {column} FROM read_rows WHERE regexp_full_match({column}, {pattern}, 'i') ORDER BY 1 LIMIT 5
