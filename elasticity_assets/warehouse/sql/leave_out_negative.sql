INSERT INTO unused_sales
SELECT r.file_id, r.line, 'more returned than sold'
FROM raw_sales AS r
JOIN product_codes AS c ON c.spelling = r.product
JOIN weekly_sales AS w ON w.product = c.product AND w.period_start = CAST(date_trunc($period, r.day) AS DATE)
ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
WHERE r.reason IS NULL AND w.units < 0
