"""The HTML page of a refit."""
