-- name: month_of_name
-- The number of a month by its name, in several languages; NULL where it is none.
CREATE OR REPLACE TEMP MACRO month_of_folded_name(name) AS CASE {cases} END;

CREATE OR REPLACE TEMP MACRO month_of_name(x) AS
    month_of_folded_name(strip_accents(lower(rtrim(x, '.'))))

-- name: reading_macros
-- How a value of a sales file is understood. What cannot be understood is NULL, never a guess.

-- What a time means must not depend on the machine.
SET TimeZone = 'UTC';

-- Texts.

CREATE OR REPLACE TEMP MACRO trimmed(x) AS
    nullif(trim(CAST(x AS VARCHAR), e' \t\r\n' || chr(160)), '');

-- A whole number stored as a fraction (pandas does that where values are missing) is the whole number's text.
CREATE OR REPLACE TEMP MACRO text_of_fraction(x) AS
    CASE WHEN isfinite(x) THEN
        CASE WHEN x = trunc(x) THEN coalesce(CAST(TRY_CAST(x AS HUGEINT) AS VARCHAR), CAST(x AS VARCHAR))
        ELSE CAST(x AS VARCHAR) END
    END;

CREATE OR REPLACE TEMP MACRO text_of_decimal(x) AS
    CASE WHEN contains(CAST(x AS VARCHAR), '.') THEN rtrim(rtrim(CAST(x AS VARCHAR), '0'), '.')
    ELSE CAST(x AS VARCHAR) END;

-- Of a text that is yes or no: 1 or 0.
CREATE OR REPLACE TEMP MACRO yes_or_no(x) AS
    CASE
        WHEN lower(trimmed(x)) IN (
            'yes', 'y', 'true', 't', 'x', 'on', 'ja', 'j', 'oui', 'si', 'sí', 's', 'sim', 'tak', '✓', '✔'
        ) THEN 1.0
        WHEN lower(trimmed(x)) IN (
            'no', 'n', 'false', 'f', 'off', 'nein', 'nee', 'non', 'não', 'nao', 'nie', 'nej', 'nei'
        ) THEN 0.0
    END;

-- Of a text: whether it is this one.
CREATE OR REPLACE TEMP MACRO is_text(x, sought) AS
    CAST(lower(coalesce(trimmed(x), '')) = lower(sought) AS DOUBLE);

-- Of a text in place of a date: whether it names a sum, such as Grand Total.
CREATE OR REPLACE TEMP MACRO names_total(x) AS
    regexp_full_match(
        lower(x),
        '(?:(?:grand|sub|over ?all)[ -]?)?totals?:?|(?:gesamt|end)?(?:summe|ergebnis)|gesamt|somme|totale|totaal|totaux'
        || '|total (?:general|g[eé]n[eé]ral|geral|generale|generaal)'
    );

-- Of a column: how many values are given, how many of them cannot be read, and one of these.
CREATE OR REPLACE TEMP MACRO readability(given, understood, x) AS
    struct_pack(
        n_given := count(*) FILTER (WHERE given),
        n_unreadable := count(*) FILTER (WHERE given AND understood IS NULL),
        example := min(x) FILTER (WHERE given AND understood IS NULL)
    );

-- Numbers, as people write them: 1,97 €, $1,265.95, (5), 5-, 1'234.50 CHF, 1,23,456.
-- Given the decimal mark and, where it is set, the only mark of thousands, a text has one meaning or none.
-- Most texts are plain numbers; the rest is tried only where that fails, the frequent first.

CREATE OR REPLACE TEMP MACRO finite(x) AS
    CASE WHEN isfinite(x) THEN x END;

CREATE OR REPLACE TEMP MACRO plain_number(x, point) AS
    CASE
        WHEN contains(x, '_') THEN NULL  -- DuckDB reads 1_0 as 10
        WHEN point = '.' THEN TRY_CAST(x AS DOUBLE)
        WHEN NOT contains(x, '.') THEN TRY_CAST(replace(x, ',', '.') AS DOUBLE)
    END;

-- Spaces of all kinds, and characters that nobody sees.
CREATE OR REPLACE TEMP MACRO blanks() AS
    '[\s\pZ\p{Cf}]*';

CREATE OR REPLACE TEMP MACRO minus_signs() AS
    '\-\x{2010}-\x{2013}\x{2212}\x{FE63}\x{FF0D}';

CREATE OR REPLACE TEMP MACRO spaces() AS
    ' ' || chr(160) || chr(8199) || chr(8201) || chr(8239);

-- Groups of three digits, all parted by one sort of mark; by commas also Indian ones, 12,34,567.
CREATE OR REPLACE TEMP MACRO grouped_digits(point, thousands) AS
    concat_ws(
        '|',
        CASE WHEN point <> ',' AND coalesce(thousands, ',') = ','
            THEN '[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}' END,
        CASE WHEN point <> '.' AND coalesce(thousands, '.') = '.' THEN '[1-9]\d{0,2}(?:\.\d{3})+' END,
        CASE WHEN coalesce(thousands, ' ') = ' ' THEN '[1-9]\d{0,2}(?:[' || spaces() || ']\d{3})+' END,
        CASE WHEN coalesce(thousands, '''') = '''' THEN '[1-9]\d{0,2}(?:[''’]\d{3})+' END
    );

CREATE OR REPLACE TEMP MACRO unsigned_number(x, point, thousands) AS
    TRY_CAST(translate(
        regexp_extract(
            x,
            concat(
                '^', blanks(), '\+?', blanks(),
                '((?:', grouped_digits(point, thousands), '|\d+)(?:\', point, '\d+)?|\', point, '\d+)',
                blanks(), '$'
            ),
            1
        ),
        point || CASE point WHEN ',' THEN '.' ELSE ',' END || '''’' || spaces(),
        '.'
    ) AS DOUBLE);

-- -5, 5- and (5) are negative; a number with two such marks is none.
CREATE OR REPLACE TEMP MACRO signed_number(x, point, thousands) AS
    CASE WHEN regexp_matches(x, '[(' || minus_signs() || ']') THEN
        -unsigned_number(
            regexp_replace(
                x,
                concat(
                    '^', blanks(), '[', minus_signs(), ']([^+]*)$|^([^+]*)[', minus_signs(), ']', blanks(), '$|^',
                    blanks(), '\(([^+]*)\)', blanks(), '$'
                ),
                '\1\2\3'
            ),
            point,
            thousands
        )
    ELSE unsigned_number(x, point, thousands) END;

-- Without the currency before or after the number; 99 ¢ is not 99.
CREATE OR REPLACE TEMP MACRO without(currency, x) AS
    regexp_replace(
        x,
        concat(
            '^(', blanks(), '[+(', minus_signs(), ']?)', blanks(), currency, blanks(),
            '|', blanks(), currency, '(', blanks(), '[)', minus_signs(), ']?)', blanks(), '$'
        ),
        '\1\2'
    );

CREATE OR REPLACE TEMP MACRO without_symbol(x) AS
    CASE WHEN NOT contains(x, '¢') THEN without('(?:[A-Za-z]{0,3}\p{Sc})', x) END;

CREATE OR REPLACE TEMP MACRO without_code(x) AS
    without(
        concat(
        '(?i:', -- ISO 4217
        'AED|AFN|ALL|AMD|ANG|AOA|ARS|AUD|AWG|AZN|BAM|BBD|BDT|BGN|BHD|BIF|BMD|BND|BOB|BRL|',
        'BSD|BTN|BWP|BYN|BZD|CAD|CDF|CHF|CLP|CNY|COP|CRC|CUP|CVE|CZK|DJF|DKK|DOP|DZD|EGP|',
        'ERN|ETB|EUR|FJD|FKP|GBP|GEL|GHS|GIP|GMD|GNF|GTQ|GYD|HKD|HNL|HRK|HTG|HUF|IDR|ILS|',
        'INR|IQD|IRR|ISK|JMD|JOD|JPY|KES|KGS|KHR|KMF|KPW|KRW|KWD|KYD|KZT|LAK|LBP|LKR|LRD|',
        'LSL|LYD|MAD|MDL|MGA|MKD|MMK|MNT|MOP|MRU|MUR|MVR|MWK|MXN|MYR|MZN|NAD|NGN|NIO|NOK|',
        'NPR|NZD|OMR|PAB|PEN|PGK|PHP|PKR|PLN|PYG|QAR|RMB|RON|RSD|RUB|RWF|SAR|SBD|SCR|SDG|',
        'SEK|SGD|SHP|SLE|SOS|SRD|SSP|STN|SVC|SYP|SZL|THB|TJS|TMT|TND|TOP|TRY|TTD|TWD|TZS|',
        'UAH|UGX|USD|UYU|UZS|VES|VND|VUV|WST|XAF|XCD|XOF|XPF|YER|ZAR|ZMW|ZWL',
        '|euros?|kr\.?|zł|kč|ft|lei|лв\.?|руб\.?|р\.|грн\.?|дин\.?|din\.?|s?fr\.?|rs\.?|rp\.?|rm|r|tl|dm|km|b/\.|s/\.?|bs\.?|元|円|원)'
        ),
        x
    );

-- Of a number: what stands beside it that names its currency, such as €, EUR or US$; NULL where nothing does.
CREATE OR REPLACE TEMP MACRO currency_mark(x) AS
    nullif(upper(regexp_replace(x, '[^\pL\p{Sc}]', '', 'g')), '');

CREATE OR REPLACE TEMP MACRO currency_of_text(x, point) AS
    CASE WHEN plain_number(x, point) IS NULL THEN currency_mark(x) END;

-- Nobody writes numbers of more than 60 characters.
CREATE OR REPLACE TEMP MACRO written_number(x, point, thousands) AS
    CASE
        WHEN length(x) NOT BETWEEN 1 AND 60 THEN NULL
        WHEN regexp_matches(x, '\pL') THEN signed_number(without_code(without_symbol(x)), point, thousands)
        WHEN regexp_matches(x, '\p{Sc}') THEN signed_number(without_symbol(x), point, thousands)
        ELSE signed_number(x, point, thousands)
    END;

CREATE OR REPLACE TEMP MACRO number_of_text(x, point, thousands) AS
    coalesce(finite(plain_number(x, point)), written_number(x, point, thousands));

-- 24%, as 0.24.
CREATE OR REPLACE TEMP MACRO percentage(x, point, thousands) AS
    number_of_text(regexp_replace(x, '^\s*%|%\s*$', ''), point, thousands) / 100;

-- A share of 1; 24% is always 0.24.
CREATE OR REPLACE TEMP MACRO share(n, unit) AS
    n / CASE unit WHEN 'percent' THEN 100 ELSE 1 END;

CREATE OR REPLACE TEMP MACRO share_of_text(x, point, thousands, unit) AS
    CASE WHEN contains(x, '%') THEN percentage(x, point, thousands)
    ELSE share(number_of_text(x, point, thousands), unit) END;

-- Of a control: what can be added up.
CREATE OR REPLACE TEMP MACRO summable(n) AS
    CASE WHEN abs(n) < 1e15 THEN n END;

CREATE OR REPLACE TEMP MACRO number_or_flag(x, point, thousands) AS
    coalesce(
        summable(plain_number(x, point)),
        yes_or_no(x),
        summable(
            CASE WHEN contains(x, '%') THEN percentage(x, point, thousands)
            ELSE written_number(x, point, thousands) END
        )
    );

-- Dates: as delivered, or the first day of the period that a label or a number names.

CREATE OR REPLACE TEMP MACRO sensible_day(x) AS
    CASE WHEN CAST(x AS DATE) BETWEEN DATE '1900-01-01' AND DATE '2199-12-31' THEN CAST(x AS DATE) END;

-- With the month's name as strptime wants it, in whatever language it is.
CREATE OR REPLACE TEMP MACRO with_english_month(x, field) AS
    regexp_replace(
        nfc_normalize(x),
        '\pL{3,}',
        strftime(make_date(2000, month_of_name(regexp_extract(nfc_normalize(x), '\pL{3,}')), 1), field)
    );

-- An ISO date or timestamp, or 20240131. Where it tells its offset from UTC, its date is the one in the zone.
CREATE OR REPLACE TEMP MACRO iso_date(x, zone) AS
    sensible_day(coalesce(
        CASE WHEN length(x) > 16 AND regexp_matches(x, ':\d\d(?:\.\d+)?\s?(?:[Zz]$|[+-]\d\d|[A-Z][A-Za-z/_]+$)')
            THEN timezone(zone, TRY_CAST(x AS TIMESTAMPTZ))
        ELSE TRY_CAST(x AS TIMESTAMP) END,
        CASE WHEN regexp_full_match(x, '\d{8}') THEN try_strptime(x, '%Y%m%d') END
    ));

-- Excel counts days; since it takes 1900 for a leap year, its numbers hold from March of that year on.
CREATE OR REPLACE TEMP MACRO excel_date(n) AS
    CASE WHEN n >= 61 AND n < 109575 THEN DATE '1899-12-30' + CAST(floor(n) AS INTEGER) END;

-- Monday of a year's week. Week 1 is the ISO one, which has 4 January, or the one with 1 January (Sunday to
-- Saturday).
CREATE OR REPLACE TEMP MACRO monday_of_week(year, n, first_week) AS
    CASE first_week
        WHEN 'iso' THEN CASE WHEN n BETWEEN 1 AND 53
            AND isoyear(date_trunc('week', make_date(year, 1, 4)) + to_days(7 * (n - 1))) = year
            THEN date_trunc('week', make_date(year, 1, 4)) + to_days(7 * (n - 1)) END
        ELSE CASE WHEN n BETWEEN 1 AND 54
            AND year(date_trunc('week', make_date(year, 1, 2)) + to_days(7 * (n - 1) - 1)) <= year
            THEN date_trunc('week', make_date(year, 1, 2)) + to_days(7 * (n - 1)) END
    END;

CREATE OR REPLACE TEMP MACRO start_in_year(year, n, period, first_week) AS
    CASE
        WHEN period = 'week' THEN monday_of_week(year, n, first_week)
        WHEN period = 'month' AND n BETWEEN 1 AND 12 THEN make_date(year, n, 1)
        WHEN period = 'quarter' AND n BETWEEN 1 AND 4 THEN make_date(year, 3 * n - 2, 1)
    END;

-- Of a half-year, such as H1 2024, 2024-S2 or 1. Halbjahr 2024: its first quarter, as a label.
CREATE OR REPLACE TEMP MACRO quarter_of_half(x) AS
    regexp_extract(x, '\d{4}') || '-' || (
        2 * CAST(nullif(regexp_extract(
            lower(x),
            '^(?:\d{4}[-/. ]?)?(?:hy?|hj|s|sem|semestre|semester|half|halbjahr)[-. ]?([12])(?:[-/. ]?\d{4})?$', 1
        ) || regexp_extract(
            lower(x),
            '^(?:\d{4}[-/. ])?([12])(?:\.|er|º|°|st|nd)? ?(?:hj|sem|semestre|semester|half|halbjahr)(?:[-/. ]\d{4})?$', 1
        ), '') AS INTEGER) - 1
    );

-- A year's week, month or quarter: 2024-W05, 2024-05, 2024 5 or 202405, and Q1 2024 or 05/2024.
CREATE OR REPLACE TEMP MACRO label_in_order(x, period) AS
    regexp_replace(
        CASE WHEN period = 'quarter' THEN coalesce(quarter_of_half(x), x) ELSE x END,
        CASE period
            WHEN 'week' THEN '^(?i:w|wk|week|kw|cw)[- ]?(\d\d?)[-/. ]?(\d{4})$'
            WHEN 'month' THEN '^(?i:m)?(\d\d?)[-/. ](\d{4})$'
            ELSE '^(?i:q)(\d)[-/. ]?(\d{4})$'
        END,
        '\2-\1'
    );

CREATE OR REPLACE TEMP MACRO label_pattern(period) AS
    '^(\d{4})(?:[-/. ]?(?i:'
    || CASE period WHEN 'week' THEN 'w|wk|week|kw|cw' WHEN 'month' THEN 'm' ELSE 'q' END
    || ')[- ]?(\d\d?)|[-/. ](\d\d?)|(\d\d))$';

CREATE OR REPLACE TEMP MACRO start_of_label(x, period, first_week) AS
    start_in_year(
        TRY_CAST(left(label_in_order(x, period), 4) AS INTEGER),
        TRY_CAST(regexp_replace(label_in_order(x, period), label_pattern(period), '\2\3\4') AS INTEGER),
        period,
        first_week
    );

-- A year, and the number or, of a month, the name of its period, as a label.
CREATE OR REPLACE TEMP MACRO label_of_year(year, x) AS
    CASE WHEN regexp_full_match(year, '\d{4}(?:\.0+)?') THEN concat(
        left(year, 4), '-',
        coalesce(
            CAST(month_of_name(x) AS VARCHAR),
            regexp_replace(x, '\.0+$', '')
        )
    ) END;

-- Period number 1 is the first of the year 2000: the day 2000-01-01, the week from Monday 2000-01-03, January 2000.
CREATE OR REPLACE TEMP MACRO start_of_number(n, period) AS
    CASE period
        WHEN 'day' THEN DATE '2000-01-01' + to_days(n - 1)
        WHEN 'week' THEN DATE '2000-01-03' + to_days(7 * (n - 1))
        WHEN 'month' THEN DATE '2000-01-01' + to_months(n - 1)
        ELSE DATE '2000-01-01' + to_months(3 * (n - 1))
    END;

CREATE OR REPLACE TEMP MACRO start_of_period(x, period, first_week) AS
    sensible_day(
        CASE WHEN regexp_full_match(x, '-?\d{1,4}') THEN start_of_number(CAST(x AS INTEGER), period)
        ELSE start_of_label(x, period, first_week) END
    );
