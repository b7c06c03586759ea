"""Tests on both kinds of warehouse: a DuckDB file and a DuckLake, whose cases are slow but for a few tests."""

import pytest

BOTH = ["warehouse_file", pytest.param("ducklake", marks=[pytest.mark.server, pytest.mark.slow])]
"""Parameters of the fixture `warehouse`."""

on_both = pytest.mark.parametrize(
    "warehouse", ["warehouse_file", pytest.param("ducklake", marks=pytest.mark.server)], indirect=True
)
"""Marks tests that stand for the others: `make test` runs them on a DuckLake too."""
