-- name: describe_parquet
DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)
