ATTACH {file} AS {database} (READ_ONLY)
