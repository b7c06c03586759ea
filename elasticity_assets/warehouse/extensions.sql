-- name: load_extension
LOAD {extension}

-- name: install_extension
INSTALL {extension}
