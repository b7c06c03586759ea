SELECT count(*), count(*) FILTER (WHERE reason IS NULL) FROM raw_sales WHERE file_id = $file_id
