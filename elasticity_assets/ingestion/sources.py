"""Where sales come from: files, and tables that exist already in other databases."""

import csv
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.ingestion.files import check_roots, content_hash, unreadable_told
from elasticity_assets.ingestion.layout import FileFormat, examine
from elasticity_assets.settings import SalesSettings, SalesTable, SettingsError, is_database_file
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.extensions import load_extensions
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line

_FRAME = "sales_of_asset"
_DATABASE = quoted("sales_database")
_REMEDY = "install them with pip install 'elasticity_assets[databases]', or let DuckDB download them"


@dataclass(frozen=True)
class SalesFile:
    """A file of sales."""

    name: str

    def state(self) -> tuple[int, ...]:
        """Tell whether it is still being written: its size and time of change."""
        status = Path(self.name).stat()
        return status.st_size, status.st_mtime_ns

    def content_hash(self) -> str:
        """SHA-256 of its bytes."""
        return content_hash(self.name)

    def examine(
        self, connection: duckdb.DuckDBPyConnection, folder: Path, sales: SalesSettings, wanted: list[str]
    ) -> FileFormat:
        """Find out how it is laid out; see `layout.examine`."""
        return examine(
            connection,
            self.name,
            folder,
            encoding=sales.encoding,
            delimiter=sales.delimiter,
            decimal=sales.decimal,
            wanted=wanted,
            sheet=sales.sheet,
        )


@dataclass(frozen=True)
class DatabaseTable:
    """A table of sales in an attached database, or a data frame that a connection knows by a name.

    Attributes
    ----------
    name : str
        What messages and `sales_files` call it.
    place : str
        Its quoted name in SQL.
    connection : duckdb connection
        The one that knows it.
    folder : Path
        Where this connection may write.
    setting : str
        Which key names it.
    """

    name: str
    place: str
    connection: duckdb.DuckDBPyConnection
    folder: Path
    setting: str = "sales.table"

    def state(self) -> tuple[int, ...]:
        """Return nothing: a transaction sees a table as it was when it began."""
        return ()

    def content_hash(self) -> str:
        """Hash of its rows, in whatever order they come."""
        with unreadable_told(f"{self.setting}: {self.name}"):
            return self.connection.execute(statement("hash_sales_table", table=self.place)).fetchall()[0][0]

    def examine(
        self, connection: duckdb.DuckDBPyConnection, folder: Path, sales: SalesSettings, wanted: list[str]
    ) -> FileFormat:
        """Copy it to a Parquet file, whose rows have an order."""
        file = str(self.folder / "table.parquet")
        with unreadable_told(f"{self.setting}: {self.name}"):
            self.connection.execute(statement("copy_sales_table", table=self.place, path=quoted(file, "'")))
        return examine(connection, file, folder)


SalesSource = SalesFile | DatabaseTable


@contextmanager
def attached(
    connection: duckdb.DuckDBPyConnection, table: SalesTable | None, roots: Collection[str] = ()
) -> Iterator[list[DatabaseTable]]:
    """Attach a table's database for reading, to a connection that opens nothing else; see `_confine`.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the warehouse: the other one has the same limit of memory.
    table : SalesTable, optional
    roots : collection of str
        Where its database's file may lie, and files that its views read; none means anywhere.

    Yields
    ------
    The table, or none where there is none.

    Raises
    ------
    SettingsError
        If there is no such database or table, or its file lies elsewhere.
    """
    if table is None:
        yield []
        return
    if is_database_file(table.database):
        check_roots([table.database], roots, "sales.table.database")
    kind = _kind(table.database)
    address = table.database.removeprefix("postgres:") if kind == "postgres" else table.database
    options = "READ_ONLY" + (f", TYPE {kind}" if kind else "")
    with (
        TemporaryDirectory(prefix="elasticity_sales.") as folder,
        connect(memory_limit=_memory_limit(connection), temp_directory=folder) as reader,
    ):
        if kind in ("sqlite", "postgres"):
            load_extensions(reader, [f"{kind}_scanner"], _REMEDY)
        try:
            reader.execute(
                statement("attach_sales", address=quoted(address, "'"), database=_DATABASE, options=options)
            )
        except duckdb.Error as error:
            raise SettingsError(
                f"sales.table.database: {table.database} cannot be opened: {in_one_line(error)}"
            ) from None
        _confine(reader, [folder, *roots] if roots else [])
        reader.begin()
        yield [_table(reader, table, Path(folder))]


def _memory_limit(connection: duckdb.DuckDBPyConnection) -> str:
    (memory,) = connection.execute(statement("memory_limit")).fetchall()[0]
    return str(memory)


def _confine(connection: duckdb.DuckDBPyConnection, places: Sequence[str]) -> None:
    """Let a connection open files in these places only, where there are any, load nothing, and stay so.

    A view in a database that somebody else made may read any file.
    """
    if places:
        of_statement = {
            "allow_directories": [p for p in places if Path(p).is_dir()],
            "allow_paths": [p for p in places if Path(p).is_file()],
        }
        for name, allowed in of_statement.items():
            connection.execute(statement(name, allowed=", ".join(quoted(place, "'") for place in allowed)))
        connection.execute(statement("no_other_access"))
    connection.execute(statement("lock_configuration"))


@contextmanager
def handed_over(
    connection: duckdb.DuckDBPyConnection, frame: object, key: Sequence[str]
) -> Iterator[list[DatabaseTable]]:
    """Let a connection know what an asset handed over, as a table.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    frame : object
        A data frame of pandas or polars, or a table of pyarrow.
    key : sequence of str
        The asset's.

    Raises
    ------
    SalesFileError
        If it is nothing of the kind.
    """
    asset = "/".join(key)
    try:
        connection.register(_FRAME, frame)
    except duckdb.Error:
        raise SalesFileError(
            f"sales.asset: {asset} handed over a {type(frame).__name__}; let it return a data frame, or name the table "
            "that it makes in sales.table, too"
        ) from None
    try:
        with TemporaryDirectory(prefix="elasticity_sales.") as folder:
            yield [DatabaseTable(f"asset {asset}", quoted(_FRAME), connection, Path(folder), "sales.asset")]
    finally:
        connection.unregister(_FRAME)


def _kind(database: str) -> str:
    """DuckDB's type of a database: sqlite, postgres, or empty where DuckDB tells it by the address."""
    if not is_database_file(database):
        return "postgres" if database.startswith(("postgres:", "postgresql:")) else ""
    try:
        with Path(database).open("rb") as stream:
            return "sqlite" if stream.read(15) == b"SQLite format 3" else ""
    except OSError as error:
        raise SettingsError(
            f"sales.table.database: {database} cannot be read: {error.strerror}; name a database's file, or an "
            "address such as postgres:host=shop dbname=sales"
        ) from None


def _table(connection: duckdb.DuckDBPyConnection, table: SalesTable, folder: Path) -> DatabaseTable:
    """Find the table in the attached database."""
    parts = next(csv.reader([table.name], delimiter="."))  # a name with a point stands in quotes
    place = ".".join([_DATABASE, *map(quoted, parts)])
    try:
        connection.execute(statement("describe_sales_table", table=place))
    except duckdb.PermissionException as error:
        raise SettingsError(
            f"sales.table.name: {table.name!r} reads what lies outside of the settings file's folder: "
            f"{in_one_line(error)}; if that is sales, allow its folder in sales.roots"
        ) from None
    except duckdb.Error as error:
        raise SettingsError(
            f"sales.table.name: {table.database} has no table {table.name!r}: "
            f"{in_one_line(str(error).partition('LINE 1:')[0])}"
        ) from None
    return DatabaseTable(f"table {table.name} of {table.database}", place, connection, folder)
