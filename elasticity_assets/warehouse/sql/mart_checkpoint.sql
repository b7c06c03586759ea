CHECKPOINT {database}
