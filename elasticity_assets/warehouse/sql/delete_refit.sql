DELETE FROM {table} WHERE refit_id = $refit_id
