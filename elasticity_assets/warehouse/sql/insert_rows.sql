INSERT INTO {table} BY NAME SELECT {columns} FROM {source}
