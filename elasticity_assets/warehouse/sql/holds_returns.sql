-- Whether any usable row is a return, or no sale at all.
SELECT EXISTS (FROM raw_sales WHERE reason IS NULL AND units <= 0)
