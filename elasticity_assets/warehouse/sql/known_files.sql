SELECT file_id, file, content_hash, reading FROM sales_files ORDER BY file
