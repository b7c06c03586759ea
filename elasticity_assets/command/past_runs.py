"""Runs that `elasticity status` shows: those under way, those that wait, and failed ones."""

import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from elasticity_assets.command.run_history import (
    RunHistoryError,
    check_files,
    file_told,
    is_usual,
    told_in_one_line,
)
from elasticity_assets.processes import has_gone
from elasticity_assets.warehouse.sql import statement

if TYPE_CHECKING:
    import dagster as dg

PROCESS = "elasticity/process"
"""Tag of the command's own runs: the machine and process that they are in."""

_MOST = 200  # runs looked at, the newest
_AD_HOC = "__ASSET_JOB"  # Dagster's name of what materializes assets that somebody chose in the UI
_QUEUED, _ENDED = ("NOT_STARTED", "QUEUED"), ("SUCCESS", "FAILURE", "CANCELED")

State = Literal["queued", "running", "vanished", "failed", "canceled"]
"""`vanished`: it has not ended, but its process has gone."""


@dataclass(frozen=True)
class Run:
    """A run, as Dagster's storage has it.

    Attributes
    ----------
    run_id, job : str
    status : str
        Dagster's.
    since : datetime
        When it ended, else when it started, else when it was asked for; naive, in UTC.
    process : str or None
        Its tag `PROCESS`.
    """

    run_id: str
    job: str
    status: str
    since: datetime
    process: str | None

    @property
    def process_is_known(self) -> bool:
        """Whether it is in a process of this machine; of others, the UI's and the daemon's only Dagster knows."""
        return _number_here(self.process) is not None


def this_process() -> str:
    """Value of the tag `PROCESS` of runs of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def state_of(run: Run) -> State | None:
    """Say what to show of a run; nothing of one that succeeded."""
    if run.status in _ENDED:
        states: dict[str, State] = {"FAILURE": "failed", "CANCELED": "canceled"}
        return states.get(run.status)
    number = _number_here(run.process)
    if number is not None and has_gone(number):
        return "vanished"
    return "queued" if run.status in _QUEUED else "running"


def worth_showing(runs: Iterable[Run]) -> list[Run]:
    """Choose the runs that have not ended, and of each job the last that did unless it succeeded.

    Of materializations of chosen assets, none before the last refit that succeeded, which made all assets anew.

    Parameters
    ----------
    runs : iterable of Run
        The newest first.

    Returns
    -------
    list of Run
        The newest first.
    """
    shown, ended = [], set()
    for run in runs:
        if run.status in _ENDED:
            if run.job in ended:
                continue
            ended.add(run.job)
            if (run.job, run.status) == ("refit", "SUCCESS"):
                ended.add(_AD_HOC)
        if state_of(run) is not None:
            shown.append(run)
    return shown


def last_runs(home: Path) -> list[Run]:
    """Read the newest runs from Dagster's storage, the newest first; none before the first.

    Its usual storage is read without Dagster, whose import takes longer than all the rest of `elasticity status`.

    Parameters
    ----------
    home : Path
        DAGSTER_HOME.

    Raises
    ------
    RunHistoryError
        If dagster.yaml or the storage cannot be read.
    """
    if not is_usual(home):
        return _runs_by_dagster(home)
    check_files(home)
    file = home / "history" / "runs.db"
    return _runs_in(file) if file.exists() else []


def last_step(home: Path, run_id: str) -> str | None:
    """Say which step a run began last, as Dagster's usual storage has it; None where nothing tells."""
    file = home / "history" / "runs" / f"{run_id}.db"
    if not file.exists():
        return None
    with suppress(sqlite3.Error), closing(_read_only(file)) as connection:
        found = connection.execute(statement("last_step")).fetchone()
        return str(found[0]) if found else None
    return None


def reasons(home: Path, run_ids: Sequence[str]) -> dict[str, str]:
    """Read why runs failed, in one line each, by run_id.

    Raises
    ------
    RunHistoryError
        If Dagster's storage cannot be read.
    """
    from elasticity_assets.automation.run_failures import why_it_failed  # noqa: PLC0415

    with _instance(home) as instance:
        return {run_id: "; ".join(why_it_failed(instance, run_id)) for run_id in run_ids}


def _runs_in(file: Path) -> list[Run]:
    """Read them from Dagster's own SQLite file."""
    try:
        with closing(_read_only(file)) as connection:
            rows = connection.execute(statement("dagster_runs"), (PROCESS, _MOST)).fetchall()
    except sqlite3.Error as error:
        if "no such table" in str(error):  # Dagster is just making the file
            return []
        raise RunHistoryError(file_told(file, error)) from None
    return [
        Run(run_id, job, status, _utc(since) if since else datetime.fromisoformat(created), process)
        for run_id, job, status, since, created, process in rows
    ]


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=30)


def _runs_by_dagster(home: Path) -> list[Run]:
    with _instance(home) as instance:
        records = instance.get_run_records(limit=_MOST)
    return [
        Run(
            record.dagster_run.run_id,
            record.dagster_run.job_name,
            record.dagster_run.status.value,
            _utc(record.end_time or record.start_time or record.create_timestamp.timestamp()),
            None if record.dagster_run.parent_run_id else record.dagster_run.tags.get(PROCESS),
        )
        for record in records
    ]


@contextmanager
def _instance(home: Path) -> Iterator["dg.DagsterInstance"]:
    """Open Dagster's instance to read from it."""
    import dagster as dg  # noqa: PLC0415

    with told_in_one_line(home), dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _number_here(process: str | None) -> int | None:
    """Give the number of a process of this machine; of other machines nothing is known."""
    host, _, number = (process or "").rpartition(":")
    return int(number) if host == socket.gethostname() else None
