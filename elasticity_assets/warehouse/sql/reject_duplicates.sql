UPDATE raw_sales
SET reason = 'duplicate row', "row" = copies.delivered
FROM (
    SELECT line, CAST(to_json(delivered) AS VARCHAR) AS delivered, row_number() OVER (PARTITION BY delivered ORDER BY line) AS nth
    FROM (SELECT {line} AS line, {row} AS delivered FROM {source} AS {row})
    JOIN (
        SELECT line
        FROM raw_sales
        WHERE file_id = $file_id AND reason IS NULL
        QUALIFY count(*) OVER (PARTITION BY lower(product), store, day) > 1
    ) USING (line)
) AS copies
WHERE raw_sales.file_id = $file_id AND raw_sales.line = copies.line AND copies.nth > 1
