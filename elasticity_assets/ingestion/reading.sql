-- name: parquet_rows
read_parquet($path, hive_partitioning = false)

-- name: csv_rows
read_csv(
    $path, columns = $columns, delim = $delimiter, encoding = $encoding, compression = $compression,
    auto_detect = false, header = true, skip = $skip, hive_partitioning = false, quote = '"', escape = '"', comment = '', strict_mode = true,
    null_padding = false, store_rejects = true
)

-- name: try_pattern
SELECT regexp_full_match('', ?)

-- name: try_date_format
SELECT try_strptime('', ?)

-- name: reading_macros
-- How a value of a sales file is understood. What cannot be understood is NULL, never a guess.

CREATE OR REPLACE TEMP MACRO trimmed(x) AS
    nullif(trim(CAST(x AS VARCHAR), e' \t\r\n' || chr(160)), '');

-- A whole number stored as a fraction (pandas does that where values are missing) is the whole number's text.
CREATE OR REPLACE TEMP MACRO text_of_fraction(x) AS
    CASE WHEN isfinite(x) THEN
        CASE WHEN x = trunc(x) THEN coalesce(CAST(TRY_CAST(x AS BIGINT) AS VARCHAR), CAST(x AS VARCHAR))
        ELSE CAST(x AS VARCHAR) END
    END;

CREATE OR REPLACE TEMP MACRO finite(x) AS
    CASE WHEN isfinite(x) THEN x END;

CREATE OR REPLACE TEMP MACRO number_with_point(x) AS
    finite(TRY_CAST(trimmed(x) AS DOUBLE));

CREATE OR REPLACE TEMP MACRO number_with_comma(x) AS
    CASE WHEN NOT contains(x, '.') THEN finite(TRY_CAST(replace(trimmed(x), ',', '.') AS DOUBLE)) END;

-- Of a text that is yes or no: 1 or 0.
CREATE OR REPLACE TEMP MACRO yes_or_no(x) AS
    CASE
        WHEN lower(trimmed(x)) IN ('yes', 'y', 'true', 't') THEN 1.0
        WHEN lower(trimmed(x)) IN ('no', 'n', 'false', 'f') THEN 0.0
    END;

CREATE OR REPLACE TEMP MACRO sensible_day(x) AS
    CASE WHEN CAST(x AS DATE) BETWEEN DATE '1900-01-01' AND DATE '2199-12-31' THEN CAST(x AS DATE) END;

-- An ISO date or timestamp, or 20240131. The local calendar date counts, whatever the time zone.
CREATE OR REPLACE TEMP MACRO iso_date(x) AS
    sensible_day(coalesce(
        TRY_CAST(x AS TIMESTAMP),
        CASE WHEN regexp_full_match(x, '\d{8}') THEN try_strptime(x, '%Y%m%d') END
    ));

-- 2024-W05, 2024-05 or 202405: the Monday of that ISO week.
CREATE OR REPLACE TEMP MACRO week_of_label(x) AS
    CASE WHEN regexp_full_match(x, '\d{4}-?[Ww]?\d{2}|\d{4}-[Ww]?\d') THEN
        CASE WHEN isoyear(try_strptime(
            concat(left(x, 4), '-', lpad(regexp_extract(substr(x, 5), '\d+'), 2, '0'), '-1'), '%G-%V-%u'
        )) = CAST(left(x, 4) AS BIGINT)
        THEN try_strptime(
            concat(left(x, 4), '-', lpad(regexp_extract(substr(x, 5), '\d+'), 2, '0'), '-1'), '%G-%V-%u'
        ) END
    END;

-- 2024-M05, 2024-05 or 202405: the first of that month.
CREATE OR REPLACE TEMP MACRO month_of_label(x) AS
    CASE WHEN regexp_full_match(x, '\d{4}-?[Mm]?\d{2}|\d{4}-[Mm]?\d') THEN
        try_strptime(concat(left(x, 4), '-', regexp_extract(substr(x, 5), '\d+'), '-1'), '%Y-%m-%d')
    END;

-- Period number 1 is the first of the year 2000: the day 2000-01-01, the week from Monday 2000-01-03, January 2000.
CREATE OR REPLACE TEMP MACRO start_of_number(n, period) AS
    CASE period
        WHEN 'day' THEN DATE '2000-01-01' + to_days(n - 1)
        WHEN 'week' THEN DATE '2000-01-03' + to_days(7 * (n - 1))
        ELSE DATE '2000-01-01' + to_months(n - 1)
    END;

CREATE OR REPLACE TEMP MACRO start_of_label(x, period) AS
    sensible_day(coalesce(
        CASE period WHEN 'week' THEN week_of_label(x) WHEN 'month' THEN month_of_label(x) END,
        CASE WHEN regexp_full_match(x, '-?\d{1,4}') THEN start_of_number(CAST(x AS INTEGER), period) END
    ));

-- Of a column: how many values are given, how many of them cannot be read, and one of these.
CREATE OR REPLACE TEMP MACRO readability(given, understood, x) AS
    struct_pack(
        n_given := count(*) FILTER (WHERE given),
        n_unreadable := count(*) FILTER (WHERE given AND understood IS NULL),
        example := min(x) FILTER (WHERE given AND understood IS NULL)
    );
