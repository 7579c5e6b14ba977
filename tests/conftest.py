"""Being here puts this folder on the path, so that tests in the folders below find the fixtures beside it."""
