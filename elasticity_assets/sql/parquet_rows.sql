read_parquet($path)
