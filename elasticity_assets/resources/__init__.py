"""Dagster resources: they hold settings and connections."""
