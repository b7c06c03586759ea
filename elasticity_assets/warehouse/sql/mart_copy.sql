INSERT INTO {target} BY NAME SELECT {columns} FROM {source} ORDER BY {key}
