SELECT
    f.file,
    r.line,
    r.reason,
    r."row",
    r.units
FROM rejected_sales AS r
INNER JOIN sales_files AS f USING (file_id)
