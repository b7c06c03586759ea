"""Tables beside the sales, such as prices, products and calendars: joined by what they have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.ingestion.delivered_column import DeliveredColumn
from elasticity_assets.ingestion.initial_settings.column_names import (
    calendar_part,
    date_rank,
    ideas,
    name_strengths,
)
from elasticity_assets.ingestion.initial_settings.decision import Remark, example
from elasticity_assets.ingestion.initial_settings.delivered_files import DeliveredFile
from elasticity_assets.ingestion.reading import row_source
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line

FOUND = 0.9
"""Share of the sales that need a row in the table."""

KEYS = frozenset({"product", "store", "category"})
"""Roles by which tables are joined; dates and codes besides."""


@dataclass(frozen=True)
class JoinedTable:
    """A table that was joined to the sales.

    Attributes
    ----------
    path : Path
    on : list of str
        Columns that both have, as the sales name them.
    columns : dict of str to str
        What it adds: names and DuckDB types.
    share : float
        Of the sales' rows, those with a row in it.
    """

    path: Path
    on: list[str]
    columns: dict[str, str]
    share: float


def join_tables(
    connection: duckdb.DuckDBPyConnection, sales: DeliveredFile, beside: Sequence[DeliveredFile]
) -> tuple[list[JoinedTable], list[Remark]]:
    """Join the files beside the sales to the table `delivered` where that can be done; else say why not."""
    joined: list[JoinedTable] = []
    remarks: list[Remark] = []
    known = dict(sales.layout.columns)
    for number, file in enumerate(beside):
        found = _join(connection, known, file, f"beside_{number}")
        if isinstance(found, Remark):
            remarks.append(found)
        else:
            joined.append(found)
            known |= found.columns
    return joined, remarks


def _join(
    connection: duckdb.DuckDBPyConnection, known: dict[str, str], file: DeliveredFile, table: str
) -> JoinedTable | Remark:
    name = file.path.name
    folded = {column.strip().casefold(): column for column in known}
    columns = file.layout.columns
    on = {
        column: folded[column.strip().casefold()]
        for column in columns
        if column.strip().casefold() in folded and _is_key(column)
    }
    added = {c: kind for c, kind in columns.items() if c.strip().casefold() not in folded}
    if not on:
        return Remark(
            f"{name!r} is not taken for sales, and has no column in common with them to be joined by."
        )
    if not added:
        return Remark(f"{name!r} is not taken for sales, and has no column that they lack.")
    source, values = row_source(file.layout)
    listed = ", ".join(f"{source['row']}.{quoted(column)}" for column in columns)
    parts = {"table": table, "columns": listed, "source": source["source"], "row": source["row"]}
    try:
        connection.execute(statement("create_beside", **parts), values)
    except duckdb.Error as error:
        raise SalesFileError(f"{file.path} cannot be read: {in_one_line(error)}") from None
    key = ", ".join(map(quoted, on))
    n_rows, n_keys = connection.execute(statement("rows_of_keys", table=table, key=key)).fetchall()[0]
    if n_keys < n_rows:
        row = connection.execute(statement("repeated_key", table=table, shown=key)).fetchone()
        return Remark(
            f"{name!r} is not joined, as it has several rows of one {', '.join(on)}, such as "
            f"{example(*(row or ()))}."
        )
    same = " AND ".join(
        f"{DeliveredColumn(f'delivered.{quoted(ours)}', known[ours]).text} = "
        f"{DeliveredColumn(f'{table}.{quoted(theirs)}', columns[theirs]).text}"
        for theirs, ours in on.items()
    )
    n_found, n = connection.execute(statement("rows_with_partner", table=table, same=same)).fetchall()[0]
    if not n or n_found < FOUND * n:
        return Remark(
            f"{name!r} is not joined, as {n - n_found:,} of {n:,} rows of the sales have no row in "
            f"it by {', '.join(on)}."
        )
    listed = ", ".join(f"{table}.{quoted(column)}" for column in added)
    connection.execute(statement("join_beside", table=table, same=same, columns=listed))
    return JoinedTable(file.path, list(on.values()), added, n_found / n)


def _is_key(name: str) -> bool:
    """Whether a column's name says that it may be joined by."""
    roles = {role for role, strength in name_strengths(name).items() if strength == 3}
    return bool(
        KEYS & roles or "code" in ideas(name) or (date_rank(name) >= 2 and not roles) or calendar_part(name)
    )
