-- DuckDB lists a malformed line once for every field too many or too few.
INSERT INTO raw_sales (file_id, line, reason, "row")
SELECT
    $file_id,
    line,
    'malformed line: ' || lower(any_value(CAST(error_type AS VARCHAR))),
    CAST(to_json(any_value(csv_line)) AS VARCHAR)
FROM reject_errors
GROUP BY line
