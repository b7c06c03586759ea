SELECT coalesce(sum(rows_in), 0), coalesce(sum(units_in), 0) FROM sales_files
