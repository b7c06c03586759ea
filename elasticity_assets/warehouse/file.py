"""The warehouse: one DuckDB file, opened late and briefly, shared by waiting; `ducklake` has the one for many machines.

Either one process writes a DuckDB file or many read it. So a connection is opened when it is needed,
closed as soon as it is not, and while another process holds the file, waited for. Within a process
threads take turns: many may read, or one may write.
"""

import glob
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import dagster as dg
import duckdb
from pydantic import Field
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from elasticity_assets.atomic_write import remove_unfinished
from elasticity_assets.settings import DEFAULT_WAREHOUSE_MEMORY
from elasticity_assets.warehouse.check_results import record, results_of_run
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.damage import (
    NOT_THERE,
    DamagedFileError,
    damage_told,
    is_damage,
    keep_copy,
    last_copy,
    read_all,
    way_back,
)
from elasticity_assets.warehouse.held import NoLocksError, has_no_locks, holder, is_held
from elasticity_assets.warehouse.kept import (
    DamagedCopyError,
    archive,
    copy_whole,
    file_hash,
    kept_files,
    refit_numbers,
)
from elasticity_assets.warehouse.migration import SCHEMA_VERSION, migrate, version_of_tables
from elasticity_assets.warehouse.private import PRIVATE
from elasticity_assets.warehouse.run_lock import run_lock
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import in_one_line, reason

STORAGE_VERSION = "v1.3.0"
"""Format of a new warehouse's file: DuckDB 1.3 writes texts in two thirds of the time. An older file keeps its own."""

RETRIES, SECONDS_BEFORE_RETRY = 3, 60.0
"""How often a step is tried again that waited for the file in vain, and after how long."""

LONGEST_PAUSE = 2.0
"""Seconds between two tries at a file that another process holds."""

Say = Callable[[str], object]
"""Takes one line for a person to read."""

Build = Callable[[duckdb.DuckDBPyConnection], None]
"""Makes a published file from a connection to the warehouse."""

Result = TypeVar("Result")


class WarehouseError(Exception):
    """The warehouse cannot be used, told in one line."""


class WarehouseHeldError(WarehouseError, dg.RetryRequested):
    """Somebody else kept the file all the time. Dagster tries the step again after a while.

    Raise it from a WarehouseError of the same message: Dagster shows the cause once the retries are used up.
    """

    def __init__(self, message: str) -> None:
        dg.RetryRequested.__init__(self, max_retries=RETRIES, seconds_to_wait=SECONDS_BEFORE_RETRY)
        self.args = (message,)


class _Turns:
    """Turns at one file among the threads of this process: many readers, or one writer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writing = False

    @contextmanager
    def take(self, *, writing: bool, wait_seconds: float, path: str) -> Iterator[None]:
        with self._changed:
            free = self._changed.wait_for(
                lambda: not self._writing and not (writing and self._readers), timeout=wait_seconds
            )
            if not free:
                held = (
                    f"{path} is held by another thread of this process; waited {wait_seconds:g} s, try again"
                )
                raise WarehouseHeldError(held) from WarehouseError(held)
            self._writing = writing
            self._readers += not writing
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._readers -= not writing
                self._changed.notify_all()


_turns: dict[str, _Turns] = {}
_turns_lock = threading.Lock()


class Warehouse(dg.ConfigurableResource):
    """The pipeline's own DuckDB file.

    Never fit a model while holding a connection, and never ask for one inside another: with `write()`
    in hand a second request of the same thread waits for itself and gives up.

    Attributes
    ----------
    path : str
    wait_seconds : float
        How long another process's hold on the file is waited for.
    memory_bytes : int
        Memory that DuckDB may use; what needs more goes to temporary files beside the warehouse.
    own_folders : list of str
        Folders that runs on it alone write to: what a killed one left unfinished there goes when the next begins.
    locks_runs : bool
        Whether a run that uses it holds the `run_lock`. One that only makes a check of what is published need not.
    """

    path: str
    wait_seconds: float = 300.0
    memory_bytes: int = DEFAULT_WAREHOUSE_MEMORY
    own_folders: list[str] = Field(default_factory=list)
    locks_runs: bool = True

    @property
    def name(self) -> str:
        """What tells it from other warehouses, however its path is written."""
        return str(Path(self.path).resolve())

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Warehouse"]:
        """Hold the warehouse's `run_lock` from a run's first step to its last; then keep what its checks found.

        A damaged warehouse is found at once, by the run that holds the lock.
        """
        say = (context.log or dg.get_dagster_logger()).info
        with self.run_lock(say) if self.locks_runs else nullcontext():
            if self.locks_runs:
                self.remove_unfinished()
                self.check()
            try:
                yield self
            finally:
                self._record_checks(context)

    def _record_checks(self, context: dg.InitResourceContext) -> None:
        """Keep what a run's checks found; where that fails the run is none the worse for it."""
        if context.instance is None or context.run is None:
            return
        try:
            if results := results_of_run(context.instance, context.run.run_id):
                self.in_transaction(partial(record, results=results))
        except Exception as error:  # whatever it is, it must not take the place of the run's own
            log = context.log or dg.get_dagster_logger()
            log.warning(f"`elasticity status` will not show this run's checks: {reason(error)}")

    def run_lock(self, say: Say = lambda line: None) -> AbstractContextManager[None]:
        """Keep others from runs on this warehouse; see `run_lock.run_lock`."""
        return run_lock(Path(self.path), say=say)

    def remove_unfinished(self) -> None:
        """Remove files that a killed run left half written; with the `run_lock` in hand."""
        copy = last_copy(Path(self.path))
        remove_unfinished(copy.parent, glob.escape(copy.name))
        self._remove_unfinished_of_own()

    def _remove_unfinished_of_own(self) -> None:
        for own in map(Path, self.own_folders):
            for folder in (own, *own.glob("*/")):
                remove_unfinished(folder)

    def check(self) -> None:
        """Read all that is there, if there is a file and nobody else has it.

        Raises
        ------
        DamagedFileError
            If some of it is damaged.
        """
        at_once = self.model_copy(update={"wait_seconds": 0.0})
        if self._exists() or last_copy(Path(self.path)).exists():
            with suppress(WarehouseHeldError), at_once._connection(read_only=True) as connection:
                read_all(connection)

    def keep_copy(self) -> None:
        """Copy the file, as the way back should it be damaged; where that fails, one line is logged."""
        try:
            with self.read() as connection:  # meanwhile nobody writes
                read_all(connection)
                keep_copy(Path(self.path))
        except OSError as error:
            dg.get_dagster_logger().warning(
                "no copy of %s could be made, the last one stays: %s", self.path, in_one_line(error)
            )

    def in_transaction(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        """Do all of some work or nothing of it.

        Parameters
        ----------
        work : callable
            Takes a connection that may write, in a transaction; it may be called more than once.

        Returns
        -------
        What `work` returned.
        """
        with self.write() as connection:
            connection.begin()
            result = work(connection)
            connection.commit()
        return result

    def refits(self, published: Path) -> list[str]:
        """Refits whose tables can be published again, the newest first.

        Parameters
        ----------
        published : Path
            The file that analysts read.
        """
        with self.read() as connection:
            numbers = refit_numbers(connection)
        return [file.stem for file in kept_files(published, numbers)]

    def name_refit(self, connection: duckdb.DuckDBPyConnection, refit_id: str) -> None:
        """Name what this transaction leaves as a refit's, where the warehouse keeps its own states; a file does not."""

    def keep_refit(self, new: Path, published: Path, refit_id: str) -> None:
        """Keep a new file that is about to be published as `published`, if that is how refits are kept."""
        copy_whole(new, archive(published) / f"{refit_id}.duckdb")

    def forget_refits(self, published: Path, keep: int) -> None:
        """Keep only the last `keep` refits."""
        for old in self.refits(published)[keep:]:
            (archive(published) / f"{old}.duckdb").unlink()

    def restore_refit(self, refit_id: str, published: Path, new: Path, build: Build) -> None:
        """Make the file of a refit anew, one of `refits`.

        Parameters
        ----------
        refit_id : str
        published, new : Path
            The file that analysts read, and the one to make.
        build : callable
            Makes it from a connection to the warehouse as it was, where no copy is kept.
        """
        kept = archive(published) / f"{refit_id}.duckdb"
        copy_whole(kept, new)
        with self.read() as connection:
            known = connection.execute(statement("file_hash"), {"refit_id": refit_id}).fetchone()
        if known and known[0] not in (None, file_hash(new)):
            raise DamagedCopyError(f"{kept} is damaged: it is not as it was published; choose another refit")

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a read-only connection; other processes may read at the same time.

        Raises
        ------
        WarehouseHeldError
            If the file stays held for `wait_seconds`.
        NoLocksError
            If its file system has no locks.
        WarehouseError
            If another version of the project wrote it.
        """
        if self._exists():
            with self._connection(read_only=True) as connection:
                if version_of_tables(connection) == SCHEMA_VERSION:
                    yield connection
                    return
        self.in_transaction(lambda connection: None)  # opening for writing creates or migrates the tables
        with self._connection(read_only=True) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection that may write; nobody else has the file open meanwhile.

        Statements commit one by one; use BEGIN and COMMIT where several belong together. What is not
        committed when the block ends is rolled back.

        Raises
        ------
        WarehouseHeldError
            If the file stays held for `wait_seconds`.
        NoLocksError
            If its file system has no locks.
        WarehouseError
            If a newer version of the project wrote it.
        """
        with self._connection(read_only=False) as connection:
            _bring_up_to_date(connection, self.path)
            yield connection

    def _exists(self) -> bool:
        file = Path(self.path)
        return file.exists() and file.stat().st_size > 0

    @contextmanager
    def _connection(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        path = str(Path(self.path).resolve())
        if not read_only:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        with _turns_lock:
            turns = _turns.setdefault(path, _Turns())
        with (
            turns.take(writing=not read_only, wait_seconds=self.wait_seconds, path=path),
            PRIVATE,  # it holds sales
            damage_told(partial(way_back, Path(path))),
        ):
            if not Path(path).exists() and last_copy(Path(path)).exists():
                raise DamagedFileError(way_back(Path(path), NOT_THERE))
            connection = self._open(path, read_only=read_only)
            try:
                if not read_only:
                    _remove_temporary(path)
                connection.execute(statement("no_progress_bar"))  # DuckDB's own, on stdout
                yield connection
            finally:
                connection.close()

    def _open(self, path: str, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting with backoff while another process holds it."""
        config = {
            "memory_limit": f"{self.memory_bytes}B",
            # Readers in several processes must not share it.
            "temp_directory": f"{path}.{os.getpid()}.tmp",
        }
        if not read_only:
            config["storage_compatibility_version"] = STORAGE_VERSION
        tries = Retrying(
            retry=retry_if_exception(is_held),
            wait=wait_random_exponential(multiplier=0.02, max=LONGEST_PAUSE),
            stop=stop_after_delay(self.wait_seconds),
            before_sleep=_log_holder,
            reraise=True,
        )
        try:
            return tries(connect, path, read_only=read_only, **config)
        except duckdb.Error as error:
            if is_held(error):
                held = f"{path} is held by {holder(error)}; waited {self.wait_seconds:g} s, try again"
                raise WarehouseHeldError(held) from WarehouseError(held)
            if has_no_locks(error):
                raise NoLocksError(path) from None
            if is_damage(error):
                if not read_only and not self._exists() and not last_copy(Path(path)).exists():
                    Path(path).unlink()  # empty: of a process that was killed while it made it
                    return self._open(path, read_only=False)
                raise  # told by who asked
            raise WarehouseError(f"{path} cannot be opened: {in_one_line(error)}") from None


def _bring_up_to_date(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    version = version_of_tables(connection)
    if version > SCHEMA_VERSION:
        raise WarehouseError(
            f"{path} was written by a newer version of elasticity_assets (tables of version {version}, "
            f"known up to {SCHEMA_VERSION}); update elasticity_assets"
        )
    if version < SCHEMA_VERSION:
        migrate(connection)


def _remove_temporary(path: str) -> None:
    """Remove the temporary files of processes that were killed; only who may write has the file to itself."""
    for folder in glob.glob(f"{glob.escape(str(Path(path).resolve()))}.*.tmp"):
        shutil.rmtree(folder, ignore_errors=True)


def _log_holder(state: RetryCallState) -> None:
    """Log who is waited for: at once, and then at each power of two of tries."""
    number = state.attempt_number
    error = state.outcome.exception() if state.outcome else None
    if error is not None and number & (number - 1) == 0:
        waited = state.seconds_since_start or 0.0
        dg.get_dagster_logger().info(
            "%s is held by %s; waiting, %.1f s so far", state.args[0], holder(error), waited
        )
