"""The pipeline's own DuckDB: a file, or a DuckLake for many machines, its lock, and its SQL."""
