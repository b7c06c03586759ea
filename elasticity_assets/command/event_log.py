"""Dagster's own SQLite storage, for the runs of one process: each file is opened once, and not for each event.

A refit has some three hundred events. Dagster opens their file anew for each, and waits until the disk has it.
"""

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Any, Self

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.instance.types import _EventListenerLogHandler
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, StaticPool, create_engine, event

_BUSY_SECONDS = 60.0


class EventLog(SqliteEventLogStorage):
    """Events in one connection a file."""

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=StaticPool,
                connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
            )
            # A machine that dies loses the last events, and no file its order.
            event.listen(
                engine, "connect", lambda opened, _: opened.execute("PRAGMA synchronous=NORMAL").close()
            )
            self._initdb(engine)
            close_to_others(Path(self.path_for_shard(shard)))
            self._engines[shard] = engine
        return self._engines[shard]

    def dispose(self) -> None:
        """Close the files."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()


def close_to_others(*files: Path) -> None:
    """Let files be their owner's alone, where they are ours: runs show rows of sales."""
    for file in files:
        with suppress(OSError):
            file.chmod(0o600)


class QuietInstance(dg.DagsterInstance):
    """Prints nothing of each event that it cannot write: who asked for the run is told once."""

    def get_event_log_handler(self) -> "_QuietHandler":
        """Get what writes events."""
        handler = _QuietHandler(self)
        handler.setLevel(logging.DEBUG)
        return handler


class _QuietHandler(_EventListenerLogHandler):
    _one_at_a_time = threading.RLock()

    def emit(self, record: logging.LogRecord) -> None:
        with self._one_at_a_time, redirect_stderr(io.StringIO()):
            super().emit(record)


class Storage(DagsterSqliteStorage):
    """Dagster's storage in SQLite files, with `EventLog`."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Make it of the settings of `DagsterSqliteStorage`."""
        made = cls(inst_data=inst_data, **config_value)
        made._event_log_storage = EventLog(made._event_log_storage._base_dir)
        return made


def with_files_kept_open(instance: InstanceRef) -> InstanceRef:
    """Let an instance whose storage are Dagster's SQLite files use `Storage`; any other stays as it is."""
    found = instance.storage_data
    if found is None or found.class_name != DagsterSqliteStorage.__name__:
        return instance
    quick = ConfigurableClassData(Storage.__module__, Storage.__name__, found.config_yaml)
    quiet = ConfigurableClassData(QuietInstance.__module__, QuietInstance.__name__, "{}")
    return instance._replace(storage_data=quick, custom_instance_class_data=quiet)
