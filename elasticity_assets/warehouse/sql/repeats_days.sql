-- Whether any product and store has several lines of one day. Seven days share a bit mask, which makes it a
-- coarse and quick look before `repeated_lines`.
SELECT coalesce(bool_or(n_lines > n_days), false)
FROM (
    SELECT count(*) AS n_lines, bit_count(bit_or(CAST(1 AS UTINYINT) << CAST(isodow(day) AS UTINYINT))) AS n_days
    FROM raw_sales
    WHERE file_id = $file_id AND reason IS NULL
    GROUP BY lower(product), store, date_trunc('week', day)
)
