-- name: first_rows
CREATE TABLE all_rows AS FROM rows

-- name: weeks_are_dates
ALTER TABLE all_rows ALTER week TYPE DATE

-- name: add_rows
INSERT INTO all_rows FROM rows

-- name: write_csv
COPY all_rows TO {file} (FORMAT csv, HEADER)

-- name: write_parquet
COPY all_rows TO {file} (FORMAT parquet)
