"""Sales files into `raw_sales`: every row once, those that cannot be used with their reason.

A file is read only when its content, or the settings that it is read with, changed since it was last
taken in. All files are taken in together or, if one cannot be used, none.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb

from elasticity_assets.ingestion.accounts import FilesReport, SalesFileError
from elasticity_assets.ingestion.files import content_hash, escaped, find_files
from elasticity_assets.ingestion.layout import FileFormat, examine
from elasticity_assets.ingestion.lines import SET_ASIDE, as_duckdb_reads, opened, write_copy
from elasticity_assets.ingestion.quotes import QuotedLines, quoted_lines
from elasticity_assets.ingestion.reading import (
    check_date_format,
    column_parts,
    delivered_columns,
    discount_unit,
    not_products_pattern,
    readability,
    row_source,
)
from elasticity_assets.ingestion.reasons import reasons_of_rows, told
from elasticity_assets.settings import SalesSettings, SettingsError
from elasticity_assets.warehouse.sales_tables import check_controls
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line

READER = 3
"""Raise it when rows are understood otherwise than before; every file is then read again."""

MOST_UNREADABLE = 0.01
"""Share of a control's values in a file that may be texts such as n/a, which count as not given."""

FEW = 0.01
"""A file has one line a product-period if at most this share of its product-periods has lines that differ."""
_SAMPLE_MASK, _SAMPLE_LEAST, _SURELY_MORE = 15, 1000, 3.0  # a sixteenth of the products


class _Known(NamedTuple):
    """A file that is in the warehouse."""

    file_id: int
    content_hash: str
    reading: str


def take_in_files(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> FilesReport:
    """Bring `sales_files` and `raw_sales` up to the files that the settings name.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the warehouse, for writing, outside a transaction.
    sales : SalesSettings

    Returns
    -------
    FilesReport

    Raises
    ------
    SettingsError
        If there is no file, a file lacks a column, or a control is neither numbers nor yes and no.
    SalesFileError
        If a file cannot be read or has no usable row. The warehouse is then as it was before.
    """
    try:
        check_controls(sales.controls)
    except ValueError as error:
        raise SettingsError(f"sales.controls: {error}") from None
    check_date_format(connection, sales.date_format)
    connection.execute(statement("reading_macros"))
    connection.execute("BEGIN")
    try:
        report = _take_in(connection, sales)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return report


def _take_in(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> FilesReport:
    for control in sales.controls:
        connection.execute(statement("add_control", control=quoted(control)))
    rows = connection.execute(statement("known_files")).fetchall()
    known = {file: _Known(file_id, digest, reading) for file_id, file, digest, reading in rows}
    found = find_files(sales.path, known)
    gone = {file: kept for file, kept in known.items() if not Path(file).exists()}
    not_named = sorted(set(known) - set(found) - set(gone))
    reading = _reading(sales)
    outcome: dict[str, list[str]] = {
        "new": [],
        "changed": [],
        "renamed": [],
        "unchanged": [],
        "still_written": [],
    }
    for file, place in found.items():
        state = _state(file)
        digest = content_hash(file)
        old = known.get(file)
        kind = "changed" if old else "new"
        if old is None:
            former = next((name for name, kept in sorted(gone.items()) if kept.content_hash == digest), None)
            if former is not None:
                old, kind = gone.pop(former), "renamed"
        if old is not None and (old.content_hash, old.reading) == (digest, reading):
            connection.execute(
                statement("place_file"), {"file": file, "place": place, "file_id": old.file_id}
            )
            outcome["renamed" if kind == "renamed" else "unchanged"].append(file)
            continue
        file_id = _one(connection, "next_file_id")[0]
        n_rows = _read(connection, file, file_id, sales)
        if _state(file) != state:
            # Half a file may have been read: keep what was there, and come back the next time.
            _forget(connection, file_id)
            outcome["still_written"].append(file)
            continue
        keep = {"file": file, "content_hash": digest, "reading": reading, "place": place, "rows_in": n_rows}
        connection.execute(statement("keep_file"), {"file_id": file_id, **keep})
        if old is not None:
            _forget(connection, old.file_id)
        outcome[kind].append(file)
    rejected, examples = reasons_of_rows(connection, sales.columns)
    return FilesReport(
        **{kind: tuple(files) for kind, files in outcome.items()},
        vanished=tuple(sorted(gone)),
        not_named=tuple(not_named),
        rows_in=_one(connection, "rows_of_files")[0],
        rejected=rejected,
        examples=examples,
    )


def _state(file: str) -> tuple[int, int]:
    status = Path(file).stat()
    return status.st_size, status.st_mtime_ns


def _reading(sales: SalesSettings) -> str:
    """Return the settings that decide how rows are understood, as JSON."""
    fields = {
        "columns",
        "period",
        "date_format",
        "sheet",
        "first_week",
        "timezone",
        "encoding",
        "delimiter",
        "decimal",
        "thousands",
        "discount_unit",
        "not_products",
        "controls",
    }
    return json.dumps({"reader": READER, **sales.model_dump(include=fields)}, sort_keys=True)


def _read(connection: duckdb.DuckDBPyConnection, file: str, file_id: int, sales: SalesSettings) -> int:
    """Insert a file's rows into `raw_sales`; return how many it delivers, counted apart from the parser."""
    wanted = [*(name for name in sales.columns.model_dump().values() if name), *sales.controls]
    with TemporaryDirectory(prefix="elasticity_sales.") as folder:
        layout = examine(
            connection,
            file,
            Path(folder),
            encoding=sales.encoding,
            delimiter=sales.delimiter,
            decimal=sales.decimal,
            wanted=wanted,
            sheet=sales.sheet,
        )
        try:
            if layout.kind == "csv":
                n_rows = _read_csv(connection, file, file_id, sales, layout, Path(folder))
            else:
                _insert(connection, file, file_id, sales, layout)
                n_rows = _one(connection, "rows_of_parquet", {"path": escaped(layout.path)})[0]
                _judge(connection, file, file_id, sales, layout)
        except duckdb.Error as error:
            raise SalesFileError(f"{file} cannot be read: {in_one_line(error)}") from None
    n_read, n_usable = _one(connection, "file_rows", {"file_id": file_id})
    if not n_usable:
        reasons = told(*reasons_of_rows(connection, sales.columns, file_id))
        raise SalesFileError(f"{file} has no usable row of {n_read}" + (f": {reasons}" if reasons else ""))
    return n_rows


def _read_csv(
    connection: duckdb.DuckDBPyConnection,
    file: str,
    file_id: int,
    sales: SalesSettings,
    layout: FileFormat,
    folder: Path,
) -> int:
    """Insert the rows of a CSV file, each of its lines accounted for; return how many rows the lines hold."""
    plain, count, set_aside = as_duckdb_reads(layout, folder)
    n_rows = count.n_filled - layout.n_head
    _insert(connection, file, file_id, sales, plain)
    if _n_read(connection, file_id) != n_rows:
        found = _quoted_lines(plain, sales)
        n_rows -= found.n_continued
        if found.stray:
            _forget(connection, file_id)
            connection.execute(statement("drop_malformed_lines"))
            plain, set_aside = write_copy(layout, folder, found.stray)
            _insert(connection, file, file_id, sales, plain)
    if (n_read := _n_read(connection, file_id)) != n_rows:
        raise SalesFileError(
            f"{file} holds {n_rows} rows by its lines, but {n_read} by its quotes; look at the quotes in it"
        )
    _judge(connection, file, file_id, sales, plain)
    connection.execute(statement("shift_lines"), {"file_id": file_id})
    connection.execute(statement("store_malformed_lines"), {"file_id": file_id})
    connection.execute(statement("drop_malformed_lines"))
    for number, line in enumerate(set_aside):
        values = {"mark": f"{SET_ASIDE}{number}", "reason": line.reason, "row": line.text, "file_id": file_id}
        connection.execute(statement("name_set_aside"), values)
    return n_rows


def _quoted_lines(layout: FileFormat, sales: SalesSettings) -> QuotedLines:
    """Tell values with line breaks from stray quotes, by the columns that hold a digit in each row."""
    columns = sales.columns
    named = [columns.period, columns.units, columns.price or columns.revenue]
    found = [layout.find(name) for name in named if name]
    digits = [list(layout.columns).index(column) for column in found if column]
    with opened(layout) as stream:
        lines = (line.decode("utf-8", errors="replace").rstrip("\r\n") for line in stream)
        return quoted_lines(lines, layout.delimiter, len(layout.columns), digits)


def _n_read(connection: duckdb.DuckDBPyConnection, file_id: int) -> int:
    return _one(connection, "rows_read", {"file_id": file_id})[0]


def _insert(
    connection: duckdb.DuckDBPyConnection, file: str, file_id: int, sales: SalesSettings, layout: FileFormat
) -> None:
    """Insert the rows of a file of this layout, those apart that its parser does not understand."""
    source, of_source = row_source(layout)
    columns = delivered_columns(file, layout, sales, source["row"])
    not_products = not_products_pattern(connection, sales.not_products)
    unit = discount_unit(connection, file, source, of_source, columns, sales)
    values = {
        "file_id": file_id,
        "period": sales.period,
        "first_week": sales.first_week,
        "not_products": not_products,
        **of_source,
    }
    connection.execute(statement("read_file", **source, **column_parts(columns, sales, unit)), values)


def _judge(
    connection: duckdb.DuckDBPyConnection, file: str, file_id: int, sales: SalesSettings, layout: FileFormat
) -> None:
    """Refuse controls that cannot be read, and reject duplicates: what only a file's rows together tell."""
    source, of_source = row_source(layout)
    suspects = _scarce_controls(connection, file_id, sales.controls)
    if suspects:
        columns = delivered_columns(file, layout, sales, source["row"])
        ask = statement("readability_of_controls", **source, controls=readability(columns, suspects))
        found = connection.execute(ask, of_source).fetchall()[0]
        _refuse_unreadable(file, dict(zip(suspects, found, strict=True)))
    if _has_duplicates(connection, file_id):
        connection.execute(statement("reject_duplicates", **source), {"file_id": file_id, **of_source})


def _scarce_controls(
    connection: duckdb.DuckDBPyConnection, file_id: int, controls: Sequence[str]
) -> list[str]:
    """Name the controls that so many rows of a file lack that too many of their values may be unreadable.

    Only these are worth a second scan of the file, which tells values not given from those unreadable.
    """
    if not controls:
        return []
    counts = ", ".join(f"count({quoted(name)})" for name in controls)
    filled = statement("filled_controls", counts=counts)
    n_rows, n_filled = connection.execute(filled, {"file_id": file_id}).fetchall()[0]
    return [name for name, n in zip(controls, n_filled, strict=True) if n_rows - n > MOST_UNREADABLE * n]


def _refuse_unreadable(file: str, readability_of: dict[str, dict[str, Any]]) -> None:
    """Refuse the first control with too many values that are neither numbers nor yes or no."""
    for name, found in readability_of.items():
        if found["n_unreadable"] > MOST_UNREADABLE * found["n_given"]:
            raise SettingsError(
                f"sales.controls: {name!r} has {found['n_unreadable']} values in {file} that are neither numbers "
                f"nor yes or no, such as {found['example']!r}; leave it out, or deliver numbers"
            )


def _forget(connection: duckdb.DuckDBPyConnection, file_id: int) -> None:
    for table in ("unused_sales", "raw_sales", "sales_files"):
        connection.execute(statement("forget_file", table=quoted(table)), {"file_id": file_id})


def _has_duplicates(connection: duckdb.DuckDBPyConnection, file_id: int) -> bool:
    """Whether the file has one line a product-period and repeats some: then the copies are mistakes.

    In a file of transactions equal lines are separate sales.
    """
    # A few products tell a file of transactions, which most large files are.
    n, _, n_differing = _one(connection, "repeated_lines", {"file_id": file_id, "mask": _SAMPLE_MASK})
    if n >= _SAMPLE_LEAST and n_differing > _SURELY_MORE * FEW * n:
        return False
    if not _one(connection, "repeats_days", {"file_id": file_id})[0]:
        return False
    n, n_repeated, n_differing = _one(connection, "repeated_lines", {"file_id": file_id, "mask": 0})
    return n_repeated > 0 and n_differing <= FEW * n


def _one(connection: duckdb.DuckDBPyConnection, name: str, values: dict[str, Any] | None = None) -> tuple:
    row = connection.execute(statement(name), values or {}).fetchone()
    if row is None:
        raise RuntimeError(f"{name} returned no row")
    return row
