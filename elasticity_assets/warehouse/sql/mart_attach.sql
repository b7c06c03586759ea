ATTACH {file} AS {database} (READ_WRITE, STORAGE_VERSION {version})
