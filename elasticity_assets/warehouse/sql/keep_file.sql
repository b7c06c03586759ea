INSERT INTO sales_files
SELECT
    $file_id,
    $file,
    $content_hash,
    $reading,
    $place,
    count(*),
    coalesce(sum(units), 0),
    min(day) FILTER (WHERE reason IS NULL),
    max(day) FILTER (WHERE reason IS NULL)
FROM raw_sales
WHERE file_id = $file_id
