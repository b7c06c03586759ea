"""A damaged warehouse: found at a run's start, and told with the way back; without Dagster, for `elasticity status`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from elasticity_assets.warehouse.kept import copy_whole
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line

_SIGNS = (
    "Corrupt database file",
    "Could not read enough bytes",
    "is not a valid DuckDB database file",
    "replaying WAL",
)
"""What DuckDB says of a file that is not as it wrote it."""


NOT_THERE = "it is not there, but the copy of it is"


class DamagedFileError(Exception):
    """A DuckDB file is not as DuckDB wrote it, told in one line with what helps."""


def is_damage(error: BaseException) -> bool:
    """Whether DuckDB says that a file is not as it wrote it."""
    return isinstance(error, duckdb.Error) and any(sign in str(error) for sign in _SIGNS)


@contextmanager
def damage_told(line: Callable[[str], str]) -> Iterator[None]:
    """Tell in one line what DuckDB raises for a damaged file.

    Parameters
    ----------
    line : callable
        Makes it of what DuckDB found.

    Raises
    ------
    DamagedFileError
    """
    try:
        yield
    except duckdb.Error as error:
        if not is_damage(error):
            raise
        raise DamagedFileError(line(in_one_line(error))) from None


def way_back(warehouse: Path, why: str) -> str:
    """Say in one line that the warehouse is damaged, and the way back."""
    copy, log = last_copy(warehouse), warehouse.with_name(f"{warehouse.name}.wal")
    if copy.exists():
        way = f"`{f'rm {log}; ' if log.exists() else ''}cp {copy} {warehouse}` puts back what the last refit left"
    else:
        way = (
            "move it away, and it is made anew from the sales files: lost are the rows of files that are gone, "
            "and the history of refits"
        )
    return f"{warehouse} is damaged: {why}; {way}; then run `elasticity refit`"


def read_all(connection: duckdb.DuckDBPyConnection) -> None:
    """Read every block of every table: DuckDB compares each with its checksum.

    Raises
    ------
    duckdb.Error
        If one is damaged; see `damage_told`.
    """
    for (table,) in connection.execute(statement("tables_there")).fetchall():
        connection.execute(statement("read_table", table=quoted(table))).fetchall()


def last_copy(warehouse: Path) -> Path:
    """Where the warehouse's copy is, as the last refit left it."""
    return warehouse.with_suffix(".kept.duckdb")


def keep_copy(warehouse: Path) -> None:
    """Copy the warehouse; nobody may write to it meanwhile."""
    copy_whole(warehouse, last_copy(warehouse))
