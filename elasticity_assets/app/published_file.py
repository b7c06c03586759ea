"""The published file, opened again when a refit has put a new one into its place."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock

import duckdb

from elasticity_assets.settings import DEFAULT_WAREHOUSE_MEMORY, Settings, database_name, load_settings
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.damage import damage_told
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.warehouse.tables import (
    CATEGORY_ELASTICITY,
    CAUSAL_EVIDENCE,
    CONTROL_EFFECT,
    CROSS_ELASTICITY,
    ELASTICITY_HISTORY,
    PRODUCT_ELASTICITY,
    PROMOTION_ELASTICITY,
    RECOMMENDED_PRICES,
    RECOMMENDED_TESTS,
    REFITS,
    UNIFORM_PRICING,
    ZONE_ELASTICITY,
)

Stamp = tuple[int, int, int, int]
"""Device, inode, time of change and size of a file: another file has another."""

REFIT = "run `elasticity refit`"
_READ = (
    RECOMMENDED_PRICES,
    UNIFORM_PRICING,
    ZONE_ELASTICITY,
    RECOMMENDED_TESTS,
    CAUSAL_EVIDENCE,
    PRODUCT_ELASTICITY,
    CATEGORY_ELASTICITY,
    CONTROL_EFFECT,
    CROSS_ELASTICITY,
    PROMOTION_ELASTICITY,
    ELASTICITY_HISTORY,
    REFITS,
)
"""Tables that the page reads, beside weekly_sales."""


class NothingPublishedError(Exception):
    """There is no published file, or one that the page cannot show. Told in one line."""


@dataclass
class PublishedFile:
    """The file that a refit publishes, for any number of threads to read.

    Who reads keeps the tables of the moment it began, also when a new file takes the place meanwhile.

    Attributes
    ----------
    path : Path
    memory_bytes : int
        That reading it may take.
    """

    path: Path
    memory_bytes: int = DEFAULT_WAREHOUSE_MEMORY
    _lock: Lock = field(default_factory=Lock, repr=False)
    _stamp: Stamp | None = field(default=None, repr=False)
    _connection: duckdb.DuckDBPyConnection | None = field(default=None, repr=False)

    def stamp(self) -> Stamp:
        """Tell the file from those that were there before.

        Raises
        ------
        NothingPublishedError
            If there is none.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise NothingPublishedError(f"nothing is published yet at {self.path}; {REFIT}") from None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection to the file that is there now.

        Raises
        ------
        NothingPublishedError
            If there is none, or it is of an earlier version, without all the tables.
        DamagedFileError
            Also while it is read.
        """
        with damage_told(lambda why: f"{self.path} is damaged: {why}; `elasticity refit` publishes it anew"):
            connection = self._connect().cursor()
            try:
                connection.execute(
                    statement("use_database", database=quoted(database_name(self.path)))
                )  # a cursor's own
                yield connection
            finally:
                connection.close()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """Open the file, unless it is the one that is open; its last reader closes the one before."""
        with self._lock:
            stamp = self.stamp()
            if self._connection is None or stamp != self._stamp:
                self._connection, self._stamp = self._opened(), stamp
            return self._connection

    def _opened(self) -> duckdb.DuckDBPyConnection:
        # Attached, since DuckDB gives who connects to a path the file that the process has open there, old or new.
        with ExitStack() as on_error:
            connection = on_error.enter_context(connect(memory_limit=f"{self.memory_bytes}B"))
            attach = statement(
                "attach_read_only",
                file=quoted(str(self.path), "'"),
                database=quoted(database_name(self.path)),
            )
            connection.execute(attach)
            connection.execute(statement("no_other_files"))
            found = connection.execute(statement("tables_published"), {"database": database_name(self.path)})
            there = {name for (name,) in found.fetchall()}
            if missing := [table.name for table in _READ if table.name not in there]:
                raise NothingPublishedError(
                    f"{self.path} has no table {missing[0]}: an earlier version published it; {REFIT}"
                )
            on_error.pop_all()  # from here on its last reader closes it
            return connection


@cache
def published_by(settings: Path) -> tuple[Settings, PublishedFile]:
    """Give settings and published file of a settings file, read once a process: the same for all visitors."""
    loaded = load_settings(settings)
    return loaded, PublishedFile(loaded.published, int(loaded.warehouse_memory))
