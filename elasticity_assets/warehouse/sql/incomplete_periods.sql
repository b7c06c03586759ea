-- The first and last period, where days are summed and days on which the shop trades are missing from it.
-- Days are summed where files deliver dates, and a period mostly has several. The shop trades on a weekday
-- that has at least half as many dates as the busiest.
WITH dates AS (
    SELECT DISTINCT day, CAST(date_trunc($period, day) AS DATE) AS period_start
    FROM raw_sales
    WHERE reason IS NULL AND dated
), weekdays AS (
    SELECT isodow(day) AS weekday, count(*) AS n FROM dates GROUP BY weekday
), trading AS (
    SELECT weekday FROM weekdays WHERE 2 * n >= (SELECT max(n) FROM weekdays)
), span AS (
    SELECT
        min(day) AS first_day,
        max(day) AS last_day,
        min(period_start) AS first_period,
        max(period_start) AS last_period,
        count(*) >= 1.5 * count(DISTINCT period_start) AS summed
    FROM dates
), labelled AS (
    SELECT min(day) AS first_label, max(day) AS last_label FROM raw_sales WHERE reason IS NULL AND NOT dated
), missing AS (
    SELECT CAST(day AS DATE) AS day
    FROM span, unnest(
        generate_series(CAST(first_period AS TIMESTAMP), first_day - INTERVAL 1 DAY, INTERVAL 1 DAY)
        || generate_series(
            last_day + INTERVAL 1 DAY,
            last_period + CASE $period WHEN 'week' THEN INTERVAL 6 DAY ELSE INTERVAL 1 MONTH - INTERVAL 1 DAY END,
            INTERVAL 1 DAY
        )
    ) AS days (day)
    WHERE isodow(day) IN (SELECT weekday FROM trading)
)
SELECT
    CASE WHEN summed AND first_period <= coalesce(first_label, first_period)
        AND EXISTS (FROM missing WHERE missing.day < first_day) THEN first_period END AS first_incomplete,
    CASE WHEN summed AND last_period >= coalesce(last_label, last_period)
        AND EXISTS (FROM missing WHERE missing.day > last_day) THEN last_period END AS last_incomplete
FROM span, labelled
WHERE $period <> 'day'
