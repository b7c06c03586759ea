"""Fixtures that several test modules share."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from elasticity_assets.resources.warehouse import Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=60)


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for writing to a new warehouse."""
    with warehouse.write() as connection:
        yield connection
