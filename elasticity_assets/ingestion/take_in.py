"""Which sales files are read, and what became of them: their rows go into `raw_sales` by `read_file`.

A file is read only when its content, or the settings that it is read with, changed since it was last
taken in. All files are taken in together or, if one cannot be used, none.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from elasticity_assets.ingestion.accounts import FilesReport
from elasticity_assets.ingestion.delivered_column import create_reading_macros
from elasticity_assets.ingestion.files import find_files
from elasticity_assets.ingestion.joins import JoinedTable, hashes_of_joined, load_joined
from elasticity_assets.ingestion.read_file import forget_file, one_row, read_file
from elasticity_assets.ingestion.reading import (
    check_date_format,
)
from elasticity_assets.ingestion.reasons import reasons_of_rows
from elasticity_assets.ingestion.sources import SalesFile, SalesSource, attached, handed_over
from elasticity_assets.settings import SalesSettings, SettingsError
from elasticity_assets.warehouse.sales_tables import check_controls
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.warehouse.tables import check_attributes

READER = 4
"""Raise it when rows are understood otherwise than before; every file is then read again."""


class _Known(NamedTuple):
    """A file that is in the warehouse."""

    file_id: int
    content_hash: str
    reading: str


def take_in_files(
    connection: duckdb.DuckDBPyConnection, sales: SalesSettings, frame: object = None
) -> FilesReport:
    """Bring `sales_files` and `raw_sales` up to the files that the settings name.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the warehouse, for writing, outside a transaction.
    sales : SalesSettings
    frame : object, optional
        What the asset that the settings name handed over.

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
    try:
        check_attributes(sales.attributes)
    except ValueError as error:
        raise SettingsError(f"sales.attributes: {error}") from None
    check_date_format(connection, sales.date_format)
    create_reading_macros(connection)
    source = (
        handed_over(connection, frame, sales.asset)
        if sales.hands_over
        else attached(connection, sales.table, sales.roots)
    )
    with source as tables:
        connection.execute("BEGIN")
        try:
            report = _take_in(connection, sales, tables)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    return report


def _take_in(
    connection: duckdb.DuckDBPyConnection, sales: SalesSettings, tables: Sequence[SalesSource]
) -> FilesReport:
    for control in sales.controls:
        connection.execute(statement("add_control", control=quoted(control)))
    rows = connection.execute(statement("known_files")).fetchall()
    known = {file: _Known(file_id, digest, reading) for file_id, file, digest, reading in rows}
    found: dict[str, tuple[SalesSource, int]] = {
        file: (SalesFile(file), place)
        for file, place in find_files(sales.path, known, roots=sales.roots).items()
    }
    found |= {table.name: (table, 0) for table in tables}
    gone = {
        name: kept for name, kept in known.items() if Path(name).is_absolute() and not Path(name).exists()
    }
    not_named = sorted(set(known) - set(found) - set(gone))
    joined_files = hashes_of_joined(sales)
    joined: list[JoinedTable] | None = None
    without_partner: Counter[str] = Counter()
    reading = _reading(sales, joined_files)
    outcome: dict[str, list[str]] = {
        "new": [],
        "changed": [],
        "renamed": [],
        "unchanged": [],
        "still_written": [],
    }
    for file, (source, place) in found.items():
        state = source.state()
        digest = source.content_hash()
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
        file_id = one_row(connection, "next_file_id")[0]
        joined = load_joined(connection, sales, joined_files) if joined is None else joined
        n_rows, lonely = read_file(connection, source, file_id, sales, joined)
        if source.state() != state:
            # Half a file may have been read: keep what was there, and come back the next time.
            forget_file(connection, file_id)
            outcome["still_written"].append(file)
            continue
        keep = {"file": file, "content_hash": digest, "reading": reading, "place": place, "rows_in": n_rows}
        connection.execute(statement("keep_file"), {"file_id": file_id, **keep})
        if old is not None:
            forget_file(connection, old.file_id)
        outcome[kind].append(file)
        without_partner.update(lonely)
    rejected, examples = reasons_of_rows(connection, sales)
    return FilesReport(
        **{kind: tuple(files) for kind, files in outcome.items()},
        vanished=tuple(sorted(gone)),
        not_named=tuple(not_named),
        rows_in=one_row(connection, "rows_of_files")[0],
        rejected=rejected,
        examples=examples,
        without_partner=dict(without_partner),
    )


def _reading(sales: SalesSettings, joined: Sequence[dict[str, str]]) -> str:
    """Return what decides how rows are understood, as JSON: settings, and the content of tables beside the sales."""
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
        "attributes",
    }
    of_joined = [
        {"on": join.on, "sheet": join.sheet, "content": sorted(files.values())}
        for join, files in zip(sales.join, joined, strict=True)
    ]
    # Without zones files are read as before there were any, and not anew.
    dumped = sales.model_dump(include=fields, exclude={"columns": {"zone"}})
    of_zones = {"zone": sales.columns.zone, **sales.zones.model_dump(include={"covariates"})}
    zones = {} if sales.columns.zone is None else {"zones": of_zones}
    return json.dumps({"reader": READER, "join": of_joined, **dumped, **zones}, sort_keys=True)
