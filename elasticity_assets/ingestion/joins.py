"""Tables beside the sales, such as prices, products and calendars, joined to them by the columns that both have."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.ingestion.delivered_column import DeliveredColumn
from elasticity_assets.ingestion.files import content_hash, find_files, unreadable_told
from elasticity_assets.ingestion.header import folded, listed
from elasticity_assets.ingestion.layout import FileFormat, examine
from elasticity_assets.ingestion.lines import as_duckdb_reads, quoted_lines_of
from elasticity_assets.ingestion.reading import Source, row_source
from elasticity_assets.settings import Join, SalesSettings, SettingsError
from elasticity_assets.warehouse.sql import quoted, statement


@dataclass(frozen=True)
class JoinedTable:
    """A table beside the sales, loaded into a temporary table.

    Attributes
    ----------
    table : str
        The temporary table: the columns `key_1` and so on as texts, `spelled_1` and so on where the file spells them
        otherwise, and the columns to join.
    files : str
        Where it came from, for messages.
    join : Join
    columns : dict of str to str
        The columns to join, and their DuckDB types.
    """

    table: str
    files: str
    join: Join
    columns: dict[str, str]


def hashes_of_joined(sales: SalesSettings) -> list[dict[str, str]]:
    """Hash the files of each table beside the sales: path -> content hash.

    Raises
    ------
    SettingsError
        If there is no such file.
    SalesFileError
        If one cannot be read.
    """
    return [
        {file: content_hash(file) for file in find_files(join.path, key="sales.join.path", roots=sales.roots)}
        for join in sales.join
    ]


def load_joined(
    connection: duckdb.DuckDBPyConnection, sales: SalesSettings, files: Sequence[Collection[str]]
) -> list[JoinedTable]:
    """Load the tables beside the sales.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    sales : SalesSettings
    files : sequence of collections of str
        The files of each of `sales.join`.

    Raises
    ------
    SettingsError
        If one lacks a column that it is joined by.
    SalesFileError
        If one cannot be read, or has several rows for the same keys.
    """
    tables: list[JoinedTable] = []
    for number, (join, named) in enumerate(zip(sales.join, files, strict=True), start=1):
        table = f"joined_{number}"
        columns: dict[str, str] = {}
        for turn, file in enumerate(named):
            with TemporaryDirectory(prefix="elasticity_sales.") as folder:
                columns = _load(connection, sales, join, file, Path(folder), table, columns if turn else None)
        tables.append(JoinedTable(table, ", ".join(named), join, columns))
        _refuse_duplicates(connection, tables[-1])
    return tables


def _load(
    connection: duckdb.DuckDBPyConnection,
    sales: SalesSettings,
    join: Join,
    file: str,
    folder: Path,
    table: str,
    before: dict[str, str] | None,
) -> dict[str, str]:
    """Load a file into its temporary table, which it begins unless files were loaded `before`; return its columns."""
    layout = examine(
        connection,
        file,
        folder,
        encoding=sales.encoding,
        delimiter=sales.delimiter,
        decimal=sales.decimal,
        wanted=[name for on in join.on for name in _names(on, sales)],
        sheet=join.sheet,
    )
    n_rows = None
    if layout.kind == "csv":
        layout, count, _ = as_duckdb_reads(layout, folder)
        n_rows = count.n_filled - layout.n_head
    source, values = row_source(layout)
    keys = [_column(layout, on, sales, file, source["row"]) for on in join.on]
    used = {key.place for key in keys}
    columns = {
        name: kind
        for name, kind in layout.columns.items()
        if f"{source['row']}.{quoted(name)}" not in used and _is_wanted(name, sales)
    }
    parts = {
        "keys": ", ".join(
            f"{(as_compared := _key(key, on, sales))} AS key_{n}, nullif({key.text}, {as_compared}) AS spelled_{n}"
            for n, (key, on) in _numbered(keys, join)
        ),
        "columns": "".join(f", {source['row']}.{quoted(name)}" for name in columns),
        "into": statement("begin_joined" if before is None else "add_joined", table=table),
    }
    with unreadable_told(f"sales.join: {file}"):
        connection.execute(statement("load_joined", **source, **parts), {**values, "file": file})
        if n_rows is not None:
            _refuse_malformed(connection, layout, file, table, n_rows)
    return columns


def _numbered(
    keys: Sequence[DeliveredColumn], join: Join
) -> Sequence[tuple[int, tuple[DeliveredColumn, str]]]:
    return list(enumerate(zip(keys, join.on, strict=True), start=1))


def _is_wanted(name: str, sales: SalesSettings) -> bool:
    """Whether any setting names a column."""
    numbers = [name for names in sales.numbers.values() for name in names]
    of_flags = [number.partition("=")[0] for number in numbers]
    columns = filter(None, sales.columns.model_dump().values())
    named = [*columns, *numbers, *of_flags, *sales.attributes]
    ons = [other for join in sales.join for on in join.on for other in _names(on, sales)]
    return folded(name) in set(map(folded, [*named, *ons]))


def _names(on: str, sales: SalesSettings) -> list[str]:
    """Say what a column to join by may be called: as `sales.columns` has it where `on` is a key there, and `on`."""
    own = dict(sales.columns).get(on)
    return [own, on] if own is not None else [on]


def _column(layout: FileFormat, on: str, sales: SalesSettings, file: str, row: str) -> DeliveredColumn:
    """Find the column of a file that it is joined by."""
    for name in _names(on, sales):
        try:
            column = layout.find(name)
        except ValueError as error:
            raise SettingsError(f"sales.join.on: {file} {error}") from None
        if column is not None:
            place = f"{row}.{quoted(column)}"
            return DeliveredColumn(
                place, layout.columns[column], sales.decimal, sales.thousands, sales.timezone
            )
    raise SettingsError(
        f"sales.join.on: {file} has no column {_names(on, sales)[0]!r}; it has {listed(list(layout.columns))}"
    )


def _key(column: DeliveredColumn, on: str, sales: SalesSettings) -> str:
    """Express a column's values as they are compared: as texts without regard to case, periods as their first day."""
    text = f"lower(nfc_normalize({column.text}))"
    if on != "period":
        return text
    date, label = column.period(sales.date_format)
    period, first_week = quoted(sales.period, "'"), quoted(sales.first_week, "'")
    of_label = f"start_of_period({label}, {period}, {first_week})"
    return f"coalesce(CAST(coalesce({date}, {of_label}) AS VARCHAR), {text})"


def _refuse_malformed(
    connection: duckdb.DuckDBPyConnection, layout: FileFormat, file: str, table: str, n_rows: int
) -> None:
    """Refuse a CSV file of which a line is malformed or was swallowed."""
    malformed = connection.execute(statement("first_malformed_line")).fetchone()
    connection.execute(statement("drop_malformed_lines"))
    if malformed is not None:
        line, why = malformed
        raise SalesFileError(f"sales.join: {file} has a malformed line {line}: {why}; correct it")
    (n_read,) = connection.execute(statement("count_joined", table=table), {"file": file}).fetchall()[0]
    if n_read != n_rows:
        stray = quoted_lines_of(layout).stray
        if stray:
            raise SalesFileError(
                f"sales.join: {file} has a quote in line {min(stray)} that does not close; correct it"
            )


def _refuse_duplicates(connection: duckdb.DuckDBPyConnection, joined: JoinedTable) -> None:
    keys = [f"key_{number}" for number, _ in enumerate(joined.join.on, start=1)]
    spelled = [f"coalesce(min(spelled_{number}), {key})" for number, key in enumerate(keys, start=1)]
    parts = {
        "keys": ", ".join(keys),
        "spelled": ", ".join(spelled),
        "given": " AND ".join(f"{key} IS NOT NULL" for key in keys),
    }
    found = connection.execute(statement("doubled_keys", table=joined.table, **parts)).fetchone()
    if found is not None:
        *values, n = found
        shown = ", ".join(f"{on} {value!r}" for on, value in zip(joined.join.on, values, strict=True))
        raise SalesFileError(
            f"sales.join: {joined.files} has {n} rows for {shown}; keep one, or join by more columns"
        )


def with_joined(
    file: str, layout: FileFormat, source: Source, joined: Sequence[JoinedTable], sales: SalesSettings
) -> tuple[FileFormat, Source]:
    """Join the tables beside the sales to a file's rows: more columns in its layout, and in what its rows are.

    Parameters
    ----------
    file : str
    layout : FileFormat
    source : dict of str to str
        From `row_source`.
    joined : sequence of JoinedTable
        Joined in this order, so that a later one may be joined by a column of an earlier one. Where two have a
        column of one name, the sales' own holds, then the earliest one's.
    sales : SalesSettings

    Returns
    -------
    layout : FileFormat
    source : dict of str to str
        As from `row_source`; {without} lists, for each row, the places in `joined` that have no partner for it.
    """
    row = source["row"]
    columns = {name: f"{row}.{quoted(name)}" for name in layout.columns}
    types = dict(layout.columns)
    joins, without = "", []
    for number, table in enumerate(joined):
        so_far = replace(layout, columns=types, names=(*layout.names, *list(types)[len(layout.names) :]))
        alike = []
        for key, on in enumerate(table.join.on, start=1):
            found = _column(so_far, on, sales, file, row)
            name = found.place.removeprefix(f"{row}.")
            place = next(place for known, place in columns.items() if quoted(known) == name)
            alike.append(f"{table.table}.key_{key} = {_key(replace(found, place=place), on, sales)}")
        joins += f" LEFT JOIN {table.table} ON {' AND '.join(alike)}"
        without.append(f"CASE WHEN {table.table}.key_1 IS NULL THEN {number} END")
        for name, kind in table.columns.items():
            if folded(name) not in set(map(folded, columns)):
                columns[name] = f"{table.table}.{quoted(name)}"
                types[name] = kind
    rows = statement(
        "joined_rows",
        **source,
        fields=", ".join(f"{quoted(name)} := {place}" for name, place in columns.items()),
        joins=joins,
        without=f"list_filter([{', '.join(without)}], lambda x: x IS NOT NULL)",
    )
    names = (*layout.names, *list(types)[len(layout.columns) :])
    return replace(layout, columns=types, names=names), {"source": rows, "line": f"{row}_line", "row": row}
