-- name: write_sheet
COPY (SELECT {columns} FROM sheet_rows) TO {path} (FORMAT parquet)
