SELECT count(*) - count(DISTINCT ({key})) AS n FROM {table}
