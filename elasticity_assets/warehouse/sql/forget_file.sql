DELETE FROM {table} WHERE file_id = $file_id
