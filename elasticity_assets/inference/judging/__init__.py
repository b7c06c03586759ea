"""What a fit is worth: predictions of what it has not seen, and comparisons."""
