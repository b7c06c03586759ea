"""The density that every engine fits."""
