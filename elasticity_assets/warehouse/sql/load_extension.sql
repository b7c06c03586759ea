LOAD {extension}
