DELETE FROM {table} WHERE category IN (SELECT unnest($categories::VARCHAR[]))
