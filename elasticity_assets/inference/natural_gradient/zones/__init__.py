"""The natural-gradient engine where rows are products in zones: an arrow within an arrow."""
