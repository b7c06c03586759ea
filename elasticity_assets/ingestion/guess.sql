-- name: sample_rows
CREATE OR REPLACE TEMP TABLE sampled_rows AS
SELECT {row}.*
FROM {source} AS {row}
USING SAMPLE reservoir({rows} ROWS) REPEATABLE (1)

-- name: profile_column
-- What the values of one column look like, over the rows drawn.
WITH sample AS (
    SELECT {text} AS x, {date} AS d FROM sampled_rows
)
SELECT
    count(x) AS n,
    count(DISTINCT x) AS n_distinct,
    count(*) FILTER (WHERE x IS NULL) AS n_blank,
    count(number_of_text(x, '.', NULL)) AS n_point,
    count(number_of_text(x, ',', NULL)) AS n_comma,
    count(coalesce(d, iso_date(x, 'UTC'))) AS n_dates,
    count(CASE WHEN d IS NULL THEN start_of_label(x, 'week', 'iso') END) AS n_week_labels,
    count(CASE WHEN d IS NULL THEN start_of_label(x, 'month', 'iso') END) AS n_month_labels,
    count(CASE WHEN d IS NULL AND regexp_full_match(x, '\d\d?\d?\d?') THEN 1 END) AS n_numbers,
    count(CASE WHEN regexp_matches(x, '\d') THEN 1 END) AS n_with_digit,
    count(DISTINCT coalesce(d, iso_date(x, 'UTC'))) AS n_days,
    count(DISTINCT isodow(coalesce(d, iso_date(x, 'UTC')))) AS n_weekdays,
    count(DISTINCT day(coalesce(d, iso_date(x, 'UTC')))) AS n_month_days,
    min(coalesce(number_of_text(x, '.', NULL), number_of_text(x, ',', NULL))) AS smallest,
    max(coalesce(number_of_text(x, '.', NULL), number_of_text(x, ',', NULL))) AS largest,
    {formats} AS n_by_format
FROM sample

-- name: codes_without_digit
SELECT upper({text}) AS code
FROM {source} AS {row}
WHERE NOT regexp_matches({text}, '\d')
GROUP BY code
ORDER BY count(*) DESC, code
