-- name: count_column_values
CREATE OR REPLACE TEMP TABLE column_values AS
SELECT {text} AS x, count(*) AS n FROM delivered GROUP BY ALL

-- name: some_numbers_have_marks
-- Whether values with a digit hold anything but digits.
SELECT coalesce(bool_or(regexp_matches(x, '\d') AND NOT regexp_full_match(x, '-?\d+')), false) FROM column_values

-- name: read_column_numbers
-- How the values read as numbers.
CREATE OR REPLACE TEMP TABLE column_numbers AS
SELECT
    *,
    -- 1,003 or 1.003: a thousand and three, or one and three thousandths.
    coalesce(regexp_full_match(bare, '[1-9]\d?\d?,\d{{3}}'), false) AS is_comma_and_three,
    coalesce(regexp_full_match(bare, '[1-9]\d?\d?\.\d{{3}}'), false) AS is_point_and_three
FROM (
    SELECT x, n, {point} AS point, {comma} AS comma, regexp_replace(x, '[^0-9.,'']', '', 'g') AS bare
    FROM column_values
)

-- name: profile_column
SELECT
    coalesce(sum(n) FILTER (WHERE x IS NOT NULL), 0) AS n_given,
    count(DISTINCT x) AS n_distinct,
    coalesce(sum(n) FILTER (WHERE x IS NOT NULL AND point IS NOT NULL), 0) AS n_point,
    coalesce(sum(n) FILTER (WHERE x IS NOT NULL AND comma IS NOT NULL), 0) AS n_comma,
    coalesce(sum(n) FILTER (WHERE is_comma_and_three), 0) AS n_comma_and_three,
    coalesce(sum(n) FILTER (WHERE is_point_and_three), 0) AS n_point_and_three,
    coalesce(sum(n) FILTER (WHERE point IS NOT NULL AND (contains(bare, '.') AND NOT is_point_and_three OR regexp_matches(bare, ',\d{3}\.|,\d{3},'))), 0) AS n_sure_point,
    coalesce(sum(n) FILTER (WHERE comma IS NOT NULL AND (contains(bare, ',') AND NOT is_comma_and_three OR regexp_matches(bare, '\.\d{3},|\.\d{3}\.'))), 0) AS n_sure_comma,
    coalesce(sum(n) FILTER (WHERE regexp_full_match(bare, '\d{1,3}') AND point IS NOT NULL), 0) AS n_unmarked_small,
    coalesce(sum(n) FILTER (WHERE regexp_full_match(bare, '[1-9]\d{3,}') AND point IS NOT NULL), 0) AS n_unmarked_large,
    max(point) FILTER (WHERE regexp_full_match(bare, '\d{1,3}')) AS largest_unmarked,
    coalesce(sum(n) FILTER (WHERE regexp_full_match(x, '0\d+')), 0) AS n_leading_zero,
    coalesce(sum(n) FILTER (WHERE regexp_matches(x, '\pL')), 0) AS n_letters,
    coalesce(sum(n) FILTER (WHERE regexp_matches(x, '\d')), 0) AS n_digits,
    coalesce(sum(n) FILTER (WHERE contains(x, '%')), 0) AS n_percent,
    coalesce(sum(n) FILTER (WHERE coalesce(yes_or_no(x), CASE WHEN point IN (0, 1) THEN point END) IS NOT NULL), 0) AS n_flag,
    coalesce((SELECT list(x) FROM (SELECT x FROM column_numbers WHERE x IS NOT NULL ORDER BY n DESC, x LIMIT 12)), []) AS frequent,
    coalesce((SELECT list(x) FROM (SELECT x FROM column_numbers WHERE x IS NOT NULL ORDER BY hash(x) LIMIT 60)), []) AS some,
    max(x) FILTER (WHERE is_comma_and_three OR is_point_and_three) AS marked
FROM column_numbers

-- name: profile_numbers
-- How the numbers of the column look, read with one decimal mark.
SELECT
    min({number}) AS smallest,
    max({number}) AS largest,
    quantile_cont({number}, 0.5) AS middle,
    coalesce(sum(n) FILTER (WHERE {number} <> trunc({number})), 0) AS n_fractions,
    coalesce(sum(n) FILTER (WHERE {number} < 0), 0) AS n_negative,
    coalesce(sum(n) FILTER (WHERE {number} = 0), 0) AS n_zero,
    min(x) FILTER (WHERE {number} IS NULL) AS unreadable
FROM column_numbers
WHERE x IS NOT NULL
