-- name: parquet_rows
read_parquet($path, hive_partitioning = false)

-- name: csv_rows
read_csv(
    $path, columns = $columns, delim = $delimiter, encoding = $encoding, compression = $compression,
    auto_detect = false, header = true, skip = $skip, hive_partitioning = false, quote = '"', escape = '"', comment = '', strict_mode = true,
    null_padding = false, store_rejects = true
)

-- name: try_pattern
SELECT regexp_full_match('', ?)

-- name: try_date_format
SELECT try_strptime('', ?)
