"""The published tables: their columns, their rows, and the file that analysts read."""
