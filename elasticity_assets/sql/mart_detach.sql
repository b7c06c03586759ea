DETACH {database}
