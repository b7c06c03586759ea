UPDATE sales_files
SET file = $file, place = $place
WHERE file_id = $file_id AND (file <> $file OR place <> $place)
