-- Rows of earlier refits.
FROM {table} WHERE refit_id <> (SELECT refit_id FROM this_refit)
