"""What each stage checks, as functions that assets attach the results of."""
