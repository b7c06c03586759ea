ATTACH {address} AS {database} (DATA_PATH {files} {options})
