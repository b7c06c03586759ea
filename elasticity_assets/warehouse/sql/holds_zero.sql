SELECT EXISTS (FROM raw_sales WHERE reason IS NULL AND units = 0)
