DELETE FROM unused_sales WHERE file_id = $file_id;
DELETE FROM raw_sales WHERE file_id = $file_id;
DELETE FROM sales_files WHERE file_id = $file_id
