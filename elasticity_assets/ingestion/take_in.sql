-- name: add_control
ALTER TABLE raw_sales ADD COLUMN IF NOT EXISTS {control} DOUBLE

-- name: known_files
SELECT file_id, file, content_hash, reading FROM sales_files ORDER BY file

-- name: place_file
UPDATE sales_files
SET file = $file, place = $place
WHERE file_id = $file_id AND (file <> $file OR place <> $place)

-- name: next_file_id
SELECT coalesce(max(file_id), 0) + 1 FROM sales_files

-- name: keep_file
INSERT INTO sales_files
SELECT
    $file_id,
    $file,
    $content_hash,
    $reading,
    $place,
    $rows_in,
    coalesce(sum(units), 0),
    min(day) FILTER (WHERE reason IS NULL),
    max(day) FILTER (WHERE reason IS NULL)
FROM raw_sales
WHERE file_id = $file_id

-- name: rows_of_files
SELECT coalesce(sum(rows_in), 0), coalesce(sum(units_in), 0) FROM sales_files
