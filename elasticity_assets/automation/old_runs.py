"""Retention of Dagster's run history: runs older than the settings keep are deleted, and the space given back."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.runs import SqliteRunStorage, SqlRunStorage
from dagster._core.storage.runs.schema import RunTagsTable
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

MOST = 200
"""Runs deleted at a time: many more than a project makes between two refits."""

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_MUCH_UNUSED = 0.25  # of a file's pages; SQLite uses fewer for what comes next


def delete_old_runs(
    instance: dg.DagsterInstance, run: dg.DagsterRun, keep_days: int, job: str | None = None
) -> int:
    """Delete a project's ended runs, with their events and logs, that were made long ago; the oldest `MOST` of them.

    Parameters
    ----------
    instance : DagsterInstance
    run : DagsterRun
        The run under way: those of its code location are the project's. One of no location deletes none.
    keep_days : int
    job : str, optional
        Delete the runs of this job only, where others have the code location, too.

    Returns
    -------
    int
        How many were deleted.
    """
    if run.remote_job_origin is None:
        return 0
    old = dg.RunsFilter(
        job_name=job,
        statuses=_ENDED,
        tags={".dagster/repository": run.remote_job_origin.repository_origin.get_label()},
        created_before=datetime.now(UTC) - timedelta(days=keep_days),
    )
    records = instance.get_run_records(old, limit=MOST, ascending=True)
    for record in records:
        run_id = record.dagster_run.run_id
        instance.delete_run(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        if isinstance(events := instance.event_log_storage, SqliteEventLogStorage):  # a file a run
            for ending in ("", "-wal", "-shm"):
                Path(f"{events.path_for_shard(run_id)}{ending}").unlink(missing_ok=True)
    if records:
        _delete_what_dagster_leaves(instance, [record.dagster_run.run_id for record in records])
        _give_space_back(instance)
    return len(records)


def _delete_what_dagster_leaves(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """Delete the rows of deleted runs that `delete_run` does not: results of checks, and in SQLite tags."""
    if isinstance(events := instance.event_log_storage, SqlEventLogStorage):
        with events.index_connection() as connection:
            checks = AssetCheckExecutionsTable
            connection.execute(checks.delete().where(checks.c.run_id.in_(run_ids)))
    if isinstance(runs := instance.run_storage, SqlRunStorage):
        with runs.connect() as connection:
            connection.execute(RunTagsTable.delete().where(RunTagsTable.c.run_id.in_(run_ids)))


def _give_space_back(instance: dg.DagsterInstance) -> None:
    if isinstance(instance.event_log_storage, SqliteEventLogStorage):
        with instance.event_log_storage.index_connection() as connection:
            _vacuum(connection)
    if isinstance(instance.run_storage, SqliteRunStorage):
        with instance.run_storage.connect() as connection:
            _vacuum(connection)


def _vacuum(connection: Connection) -> None:
    """Make a SQLite file smaller, if much of it is unused."""
    unused, pages = (
        connection.exec_driver_sql(f"PRAGMA {count}").scalar_one()
        for count in ("freelist_count", "page_count")
    )
    if unused > _MUCH_UNUSED * pages:
        with suppress(OperationalError):  # another process has it, or the disk is full: after the next refit
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
