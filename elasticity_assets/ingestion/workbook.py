"""Sheets of Excel workbooks, written as Parquet files: dates as dates and numbers as numbers."""

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import duckdb
import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum, load_workbook

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.ingestion.header import MOST_TITLE_LINES, distinct, n_found
from elasticity_assets.settings import SettingsError
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line

Cell = str | float | bool | date | time | timedelta
"""What a sheet's cell holds; an empty text where it is empty. Dates are `date` or `datetime`."""


@dataclass(frozen=True)
class WrittenSheet:
    """A sheet written as a Parquet file.

    Attributes
    ----------
    path : str
        The Parquet file, whose columns have names of their own.
    sheet : str
    names : tuple of str
        The columns' names in the sheet.
    columns : dict of str to str
        The columns' names in the Parquet file, and their DuckDB types.
    header_line : int
        Row of the sheet that holds the names, counted from 1 as Excel does.
    """

    path: str
    sheet: str
    names: tuple[str, ...]
    columns: dict[str, str]
    header_line: int


def write_sheet(
    connection: duckdb.DuckDBPyConnection,
    file: str,
    folder: Path,
    *,
    sheet: str | None = None,
    wanted: Collection[str] = (),
    header_line: int | None = None,
    decimal: str = ".",
) -> WrittenSheet:
    """Write a sheet's rows below its header as a Parquet file; blank rows are left out.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    file : str
        The workbook.
    folder : Path
        Where to write.
    sheet : str, optional
        The sheet's name; by default the only one that holds most of the columns `wanted`.
    wanted : collection of str
        Column names: the header is the first row with most of them.
    header_line : int, optional
        Row that holds the names, counted from 1; by default found.
    decimal : str
        Decimal mark of numbers in a column that holds text too.

    Raises
    ------
    SalesFileError
        If the file is no workbook that can be read, or the sheet is empty.
    SettingsError
        If there is no sheet of that name, or several hold the columns.
    """
    try:
        with closing(load_workbook(file)) as workbook:
            name = _sheet(workbook, file, sheet, wanted)
            rows: list[list[Cell]] = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except (CalamineError, OSError, ValueError) as error:
        raise SalesFileError(
            f"{file} is a ZIP archive, or a workbook that cannot be read ({in_one_line(error)}); "
            "save it as CSV, Parquet or .xlsx"
        ) from None
    line = header_line or _header_line(rows, wanted)
    if not 0 < line <= len(rows):
        raise SalesFileError(f"{file} has no header: its sheet {name!r} is empty")
    names = _names(rows[line - 1])
    below = [row[: len(names)] for row in rows[line:] if any(cell != "" for cell in row)]
    values: dict[str, pd.Series] = {}
    types: dict[str, str] = {}
    for place, column in enumerate(distinct(names)):
        cells = [row[place] for row in below]
        types[column] = _type(cells)
        values[column] = pd.Series(
            [
                None if cell == "" else _text(cell, decimal) if types[column] == "VARCHAR" else cell
                for cell in cells
            ],
            dtype=object,
        )
    path = str(folder / "sheet.parquet")
    _write(connection, values, types, path)
    return WrittenSheet(path, name, tuple(names), types, line)


def sheet_tops(file: str, n_rows: int) -> dict[str, list[list[str]]]:
    """Read the first rows of each visible sheet of a workbook, as text.

    Raises
    ------
    SalesFileError
        If the file is no workbook that can be read.
    """
    try:
        with closing(load_workbook(file)) as workbook:
            sheets = [
                found.name for found in workbook.sheets_metadata if found.visible == SheetVisibleEnum.Visible
            ]
            tops = {
                name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=n_rows)
                for name in sheets
            }
    except (CalamineError, OSError, ValueError) as error:
        raise SalesFileError(
            f"{file} is a ZIP archive, or a workbook that cannot be read ({in_one_line(error)}); "
            "save it as CSV, Parquet or .xlsx"
        ) from None
    return {name: [[_text(cell, ".").strip() for cell in row] for row in top] for name, top in tops.items()}


def _sheet(workbook: CalamineWorkbook, file: str, sheet: str | None, wanted: Collection[str]) -> str:
    """Name the sheet that the settings name; else the only one that holds most of the columns wanted."""
    names = [found.name for found in workbook.sheets_metadata if found.visible == SheetVisibleEnum.Visible]
    if sheet is not None:
        for like in (str, str.casefold):
            if match := next((name for name in workbook.sheet_names if like(name) == like(sheet)), None):
                return match
        raise SettingsError(
            f"sales.sheet: {file} has no sheet {sheet!r}; it has {', '.join(map(repr, workbook.sheet_names))}"
        )
    if not names:
        raise SettingsError(f"sales.sheet: {file} has only hidden sheets; name one of {workbook.sheet_names}")
    if len(names) == 1 or not wanted:
        return names[0]
    found = {}
    for name in names:
        top = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=MOST_TITLE_LINES)
        found[name] = max((n_found(_names(row), wanted) for row in top), default=0)
    holding = [name for name in names if found[name] == max(found.values())]
    if len(holding) > 1:
        raise SettingsError(
            f"sales.sheet: {file} has several sheets with the columns, {', '.join(map(repr, holding))}; name one"
        )
    return holding[0]


def _header_line(rows: Sequence[Sequence[Cell]], wanted: Collection[str]) -> int:
    """Row with most of the columns wanted, else the first that is not blank, counted from 1; 0 if there is none."""
    top = [(number, _names(row)) for number, row in enumerate(rows[:MOST_TITLE_LINES], start=1)]
    filled = [(number, names) for number, names in top if names]
    return max(filled, key=lambda found: (n_found(found[1], wanted), -found[0]), default=(0, []))[0]


def _names(row: Sequence[Cell]) -> list[str]:
    """Column names in a row, up to its last cell that is not empty."""
    names = [_text(cell, ".").strip() for cell in row]
    while names and not names[-1]:
        names.pop()
    return names


def _type(cells: Sequence[Cell]) -> str:
    """DuckDB type of a column's cells: text where they are of several kinds."""
    kinds = {_kind(cell) for cell in cells if cell != ""}
    return kinds.pop() if len(kinds) == 1 else "VARCHAR"


def _kind(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "BOOLEAN"
    if isinstance(cell, int | float):
        return "DOUBLE"
    return "TIMESTAMP" if isinstance(cell, date) else "VARCHAR"


def _text(cell: Cell, decimal: str) -> str:
    """Write a cell as text: whole numbers without a fraction, dates in ISO's form."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell).replace(".", decimal)
    if isinstance(cell, datetime) and cell.time() == time():
        return str(cell.date())
    return str(cell)


def _write(
    connection: duckdb.DuckDBPyConnection, values: dict[str, pd.Series], types: dict[str, str], path: str
) -> None:
    columns = ", ".join(f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in types.items())
    connection.register("sheet_rows", pd.DataFrame(values))
    try:
        connection.execute(statement("write_sheet", columns=columns, path=quoted(path, "'")))
    finally:
        connection.unregister("sheet_rows")
