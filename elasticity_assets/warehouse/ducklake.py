"""The warehouse for many machines: a DuckLake, whose catalog is in PostgreSQL and whose data are Parquet files.

Any number of processes read and write at once, each transaction on a snapshot of its own. One whose changes meet
another's is done again. The catalog keeps the snapshot that each refit left, so that its tables can be published again.
"""

import atexit
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import NamedTuple
from urllib.parse import urlsplit

import dagster as dg
import duckdb
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from elasticity_assets.processes import has_gone
from elasticity_assets.settings import DUCKLAKE
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.extensions import load_extensions
from elasticity_assets.warehouse.file import Build, Result, Say, Warehouse, WarehouseError
from elasticity_assets.warehouse.migration import show_as_present
from elasticity_assets.warehouse.postgres_lock import postgres_lock
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line

DATABASE = "warehouse"
"""Name of the lake in a connection."""

_EXTENSIONS = ["ducklake", "postgres_scanner"]
_OF_OBJECT_STORE = ["httpfs"]
_OF_REFIT = "refit "
_SPILLS = "elasticity_warehouse."  # and the process's number
_SECONDS_TO_MAKE = 10.0
_REMEDY = "install them with pip install 'elasticity_assets[ducklake]', or let DuckDB download them"


class DuckLakeWarehouse(Warehouse):
    """The pipeline's own DuckLake.

    A process connects to the catalog once for reading and once for writing, and each block gets a cursor.

    Attributes
    ----------
    path : str
        `ducklake:postgres:` and the connection string of the catalog's database, as libpq takes it. Passwords come
        from PGPASSWORD or libpq's password file.
    files : str
        Folder of the Parquet files, which every machine has under this path; or `s3://bucket/folder`, with AWS's
        credentials in the environment and AWS_ENDPOINT_URL for a server other than AWS.
    wait_seconds : float
        How long transactions are tried again that meet others' changes.
    memory_bytes : int
        Memory that DuckDB may use; what needs more goes to a folder among this machine's temporary files.
    own_folders : list of str
    locks_runs : bool
        As of `Warehouse`.
    """

    files: str

    @property
    def name(self) -> str:
        """What tells it from other warehouses: its catalog."""
        return self.path

    def run_lock(self, say: Say = lambda line: None) -> AbstractContextManager[None]:
        """Keep others, on whatever machine, from runs on this warehouse; see `postgres_lock`."""
        return postgres_lock(self.path.removeprefix(DUCKLAKE), say=say)

    def remove_unfinished(self) -> None:
        """Remove what a killed run left half written in the folders that are this warehouse's alone."""
        self._remove_unfinished_of_own()

    def check(self) -> None:
        """Read nothing: what guards a DuckLake are PostgreSQL, and backups of its files."""

    def keep_copy(self) -> None:
        """Keep no copy: the snapshots are in the lake."""

    def in_transaction(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        """Do all of some work or nothing of it, and again where others' changes meet its own."""
        tries = Retrying(
            retry=retry_if_exception_type(duckdb.TransactionException),
            wait=wait_random_exponential(multiplier=0.05, max=2.0),
            stop=stop_after_delay(self.wait_seconds),
            reraise=True,
        )
        return tries(super().in_transaction, work)

    def refits(self, published: Path) -> list[str]:
        """Refits whose tables can be shown as they were, the newest first."""
        with self.read() as connection:
            return [refit_id for refit_id, _ in _refits(connection)]

    def name_refit(self, connection: duckdb.DuckDBPyConnection, refit_id: str) -> None:
        """Name the snapshot that this transaction will leave."""
        connection.execute(
            statement("ducklake_message", database=quoted(DATABASE)), {"message": f"{_OF_REFIT}{refit_id}"}
        )

    def keep_refit(self, new: Path, published: Path, refit_id: str) -> None:
        """Keep no copy: the snapshot is the refit."""

    def restore_refit(self, refit_id: str, published: Path, new: Path, build: Build) -> None:
        """Make the file of a refit anew from its snapshot, one of `refits`."""
        with self.as_of(refit_id) as connection:
            build(connection)

    def forget_refits(self, published: Path, keep: int) -> None:
        """Drop all snapshots but those of the last `keep` refits and the present one, and files that none needs.

        What cannot be dropped is logged: a refit is published all the same, and the next one tries again.
        """
        try:
            self._expire(keep)
        except (duckdb.Error, WarehouseError) as error:
            dg.get_dagster_logger().warning("old snapshots of %s are left: %s", self.path, in_one_line(error))

    def _expire(self, keep: int) -> None:
        lake, name = quoted(DATABASE), quoted(DATABASE, "'")
        with self.write() as connection:
            kept = [snapshot for _, snapshot in _refits(connection)[:keep]]
            found = connection.execute(
                statement("ducklake_old_snapshots", database=lake), {"kept": kept}
            ).fetchall()
            if found:
                old = {"snapshots": [snapshot for (snapshot,) in found]}
                connection.execute(statement("ducklake_expire", lake=name), old)
            connection.execute(statement("ducklake_clean", lake=name))

    @contextmanager
    def as_of(self, refit_id: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection that reads the tables as a refit left them; it is one of `refits`."""
        with self.read() as connection:
            snapshot = dict(_refits(connection))[refit_id]
        with self._attached("READ_ONLY", f"SNAPSHOT_VERSION {int(snapshot)}") as connection:
            connection.execute(statement("ducklake_use", database=quoted(DATABASE)))
            show_as_present(connection, DATABASE)
            yield connection

    def _exists(self) -> bool:
        try:
            self._instance(read_only=True)
        except WarehouseError:  # there is no lake yet; or what is wrong shows when it is opened for writing
            return False
        return True

    @contextmanager
    def _connection(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._instance(read_only=read_only).cursor()
        try:
            cursor.execute(statement("ducklake_use", database=quoted(DATABASE)))
            cursor.execute(statement("no_progress_bar"))
            yield cursor
        except (duckdb.IOException, duckdb.FatalException, duckdb.InternalException):
            with _instances_lock:
                broken = _instances.pop((self.path, self.files, read_only), None)
            if broken:
                broken.ends.close()  # the next block connects anew
            raise
        finally:
            with suppress(duckdb.Error):
                cursor.rollback()
            cursor.close()

    def _instance(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Return this process's connection to the lake."""
        key = (self.path, self.files, read_only)
        with _instances_lock:
            if key not in _instances:
                with ExitStack() as ends:
                    connection = ends.enter_context(self._attached(*(["READ_ONLY"] if read_only else [])))
                    _instances[key] = _Instance(connection, ends.pop_all())
            return _instances[key].connection

    @contextmanager
    def _attached(self, *options: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a new connection to the lake."""
        _remove_spills()
        # A folder of its own: DuckDB names its files there alike in each instance.
        with TemporaryDirectory(prefix=f"{_SPILLS}{os.getpid()}.", ignore_cleanup_errors=True) as spills:
            connection = connect(memory_limit=f"{self.memory_bytes}B", temp_directory=spills)
            try:
                self._attach(connection, *options)
                yield connection
            finally:
                connection.close()

    def _attach(self, connection: duckdb.DuckDBPyConnection, *options: str) -> None:
        in_object_store = "://" in self.files
        if not in_object_store:
            Path(self.files).mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds sales
        load_extensions(connection, [*_EXTENSIONS, *(_OF_OBJECT_STORE if in_object_store else [])], _REMEDY)
        if in_object_store and (endpoint := os.environ.get("AWS_ENDPOINT_URL")):
            server = urlsplit(endpoint)
            connection.execute(
                statement(
                    "s3_endpoint", host=quoted(server.netloc, "'"), ssl=str(server.scheme == "https").lower()
                )
            )
        attach = statement(
            "ducklake_attach",
            address=quoted(self.path, "'"),
            database=quoted(DATABASE),
            files=quoted(self.files, "'"),
            options="".join(f", {option}" for option in options),
        )
        tries = Retrying(
            retry=retry_if_exception(_is_being_made),
            wait=wait_random_exponential(multiplier=0.1, max=1.0),
            stop=stop_after_delay(_SECONDS_TO_MAKE),
            reraise=True,
        )
        try:
            tries(connection.execute, attach)
        except duckdb.Error as error:
            raise WarehouseError(
                f"{self.path} cannot be opened: {in_one_line(error)}; check that PostgreSQL is up, and "
                "`warehouse` and `ducklake_files` in the settings"
            ) from None


class _Instance(NamedTuple):
    """A connection, and what closes it."""

    connection: duckdb.DuckDBPyConnection
    ends: ExitStack


# One a process, since loading the extensions takes longer than most statements.
_instances: dict[tuple[str, str, bool], _Instance] = {}
_instances_lock = threading.Lock()


@atexit.register
def close_connections() -> None:
    """Close this process's connections; the next block connects anew."""
    with _instances_lock:
        for instance in _instances.values():
            instance.ends.close()
        _instances.clear()


def _remove_spills() -> None:
    """Remove the folders of processes that ended without closing: killed, or by Ctrl-C."""
    for folder in Path(gettempdir()).glob(f"{_SPILLS}*.*"):
        number = folder.name.removeprefix(_SPILLS).partition(".")[0]
        if number.isdecimal() and has_gone(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_being_made(error: BaseException) -> bool:
    """Whether the catalog's tables could not be made: another process may just be making them."""
    return isinstance(error, duckdb.Error) and "Failed to initialize DuckLake" in str(error)


def _refits(connection: duckdb.DuckDBPyConnection) -> Sequence[tuple[str, int]]:
    """Refits and their snapshots, the newest first."""
    of_refits = statement("ducklake_refits", database=quoted(DATABASE))
    return connection.execute(of_refits, {"prefix": _OF_REFIT}).fetchall()
