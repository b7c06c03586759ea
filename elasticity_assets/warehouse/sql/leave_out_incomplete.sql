INSERT INTO unused_sales
SELECT
    r.file_id,
    r.line,
    CASE CAST(date_trunc($period, r.day) AS DATE)
        WHEN $first_incomplete THEN 'incomplete first period' ELSE 'incomplete last period'
    END
FROM raw_sales AS r
ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
WHERE r.reason IS NULL AND CAST(date_trunc($period, r.day) AS DATE) IN ($first_incomplete, $last_incomplete)
