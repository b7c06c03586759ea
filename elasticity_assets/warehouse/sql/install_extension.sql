INSTALL {extension}
