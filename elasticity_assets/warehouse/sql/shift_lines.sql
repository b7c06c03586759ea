-- Rows were numbered without the malformed lines among them: push each row down by those before it.
UPDATE raw_sales
SET line = shifted.line + shifted.n_malformed
FROM (
    SELECT r.line, gaps.n_malformed
    FROM raw_sales AS r
    ASOF JOIN (
        SELECT n_before, max(nth) AS n_malformed
        FROM (
            SELECT line - row_number() OVER (ORDER BY line) AS n_before, row_number() OVER (ORDER BY line) AS nth
            FROM (SELECT DISTINCT line FROM reject_errors)
        )
        GROUP BY n_before
    ) AS gaps ON r.line > gaps.n_before
    WHERE r.file_id = $file_id
) AS shifted
WHERE raw_sales.file_id = $file_id AND raw_sales.line = shifted.line
