-- Rows were numbered without the malformed lines among them: push each row down by those before it.
UPDATE raw_sales
SET line = line + (
    SELECT count(*)
    FROM (
        SELECT DISTINCT line - row_number() OVER (ORDER BY line) AS well_formed_before
        FROM (SELECT DISTINCT line FROM reject_errors)
    ) AS gaps
    WHERE gaps.well_formed_before < raw_sales.line
)
WHERE file_id = $file_id
