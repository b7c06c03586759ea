SELECT * FROM refits WHERE refit_id = $refit_id
