"""Dagster's own SQLite storage, for the runs of one process: each file is opened once, and not for each event.

Dagster opens their file anew for each event, and waits until the disk has it. A refit has some hundreds, and one more
for each category and partitioned asset: those of an asset it hands over together, and they are stored so.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import dagster as dg
from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry, StructuredLoggerMessage, construct_event_record
from dagster._core.instance.ref import InstanceRef
from dagster._core.instance.types import _EventListenerLogHandler
from dagster._core.log_manager import get_log_record_metadata
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, StaticPool, create_engine, event

_BATCH = 1_000
"""Events of an asset's partitions that are stored together, and so are in memory until then."""
_BUSY_SECONDS = 60.0


class EventLog(SqliteEventLogStorage):
    """Events in one connection a file."""

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, Engine] = {}
        self._one_at_a_time = threading.RLock()  # entered again where two files are written in one go
        self._tables: set[str] = set()
        super().__init__(base_dir)

    def has_table(self, table_name: str) -> bool:
        """Whether the file of all runs has a table; asked for each partition, and a table that is there stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._one_at_a_time, self._engine(shard).begin() as connection:
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

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run, those of assets in one transaction a file; where that fails, one by one.

        Dagster's table of assets has the last event of each, and only that one is written there.
        """
        of_assets = []
        for entry in events:
            if entry.dagster_event_type in ASSET_EVENTS:
                of_assets.append(entry)
            else:
                self.store_event(entry)
        if not of_assets:
            return
        try:
            self._store_asset_events(of_assets)
        except Exception:  # one that cannot be stored alone either raises
            for entry in of_assets:
                self.store_event(entry)

    def _store_asset_events(self, events: Sequence[EventLogEntry]) -> None:
        insert = SqlEventLogStorageTable.insert()
        rows = [self._event_to_row(entry) for entry in events]
        with self.index_connection() as index, self.run_connection(events[0].run_id) as of_run:
            of_run.execute(insert, rows)
            numbers = [index.execute(insert, row).lastrowid for row in rows]
            self._store_asset_event_tags(index, events, numbers)
            last = {
                (entry.get_dagster_event().asset_key, entry.dagster_event_type): (entry, number)
                for entry, number in zip(events, numbers, strict=True)
            }
            for entry, number in last.values():
                self._store_asset_event(index, entry, number)

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
    """Stores events of partitions together, and prints nothing of what it cannot store: who asked is told once."""

    def handle_new_event(self, event: EventLogEntry, *, batch_metadata: Any = None) -> None:
        """Store an event, or keep it until the last of its batch is there.

        Dagster batches what is planned, observed and materialized, of which it stores all and tells no listener.
        """
        if batch_metadata is None:
            super().handle_new_event(event)
            return
        batch = self._event_buffer[batch_metadata.id]
        batch.append(event)
        if batch_metadata.is_end or len(batch) == _BATCH:
            del self._event_buffer[batch_metadata.id]
            self.event_log_storage.store_event_batch(batch)

    def get_event_log_handler(self) -> _EventListenerLogHandler:
        """Get what writes events."""
        handler = _QuietHandler(self)
        handler.setLevel(logging.DEBUG)
        return handler


class _QuietHandler(_EventListenerLogHandler):
    def emit(self, record: logging.LogRecord) -> None:
        """Hand an event over as Dagster's own does, but for printing what cannot be stored."""
        meta = get_log_record_metadata(record)
        message = StructuredLoggerMessage(record.name, record.msg, record.levelno, meta, record)
        event = construct_event_record(message)
        try:
            self._instance.handle_new_event(event, batch_metadata=meta["dagster_event_batch_metadata"])
        except Exception:
            if event.dagster_event:  # of others a line of the log is lost, and no work
                raise


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
