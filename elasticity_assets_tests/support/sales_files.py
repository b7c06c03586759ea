"""Small sales files, and settings to read them, for tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from elasticity_assets.ingestion import FilesReport, WeeklyReport, build_weekly_sales, take_in_files
from elasticity_assets.settings import SalesSettings

COLUMNS = {"product": "product", "period": "date", "units": "units", "price": "price"}

REPOSITORY = Path(__file__).parents[2]


def sales_settings(
    path: Path | str | Iterable[Path], columns: dict[str, str | None] | None = None, **others: Any
) -> SalesSettings:
    """Settings of sales at `path`; `columns` besides product, date, units and price, or None instead."""
    paths = [path] if isinstance(path, str | Path) else list(path)
    named = {key: name for key, name in {**COLUMNS, **(columns or {})}.items() if name is not None}
    return SalesSettings.model_validate({"path": [str(path) for path in paths], "columns": named, **others})


def write_lines(path: Path, *lines: str, header: str = "product,date,units,price") -> Path:
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def ingest(
    connection: duckdb.DuckDBPyConnection, settings: SalesSettings
) -> tuple[FilesReport, WeeklyReport]:
    """Take the files in, build weekly sales, and hold the accounts against each other."""
    files = take_in_files(connection, settings)
    weekly = build_weekly_sales(connection, settings)
    assert weekly.accounts_close
    assert files.rows_in == weekly.rows_in
    rows = connection.execute("SELECT count(*) FROM rejected_sales").fetchone()
    assert rows == (weekly.rows_rejected,)
    return files, weekly


def rejected(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    """Lines and reasons of the rejected rows."""
    return connection.execute("SELECT line, reason FROM rejected_sales ORDER BY file, line").fetchall()


def weekly_sales(
    connection: duckdb.DuckDBPyConnection, columns: str = "product, period_start, units, price"
) -> list[tuple]:
    return connection.execute(f"SELECT {columns} FROM weekly_sales ORDER BY product, period_start").fetchall()
