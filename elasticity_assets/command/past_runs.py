"""Runs that `elasticity status` tells of: those under way, those that wait, and failed ones."""

import os
import socket
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import yaml

from elasticity_assets.warehouse.sql import statement

PROCESS = "elasticity/process"
"""Tag of the command's own runs: the machine and process that they are in."""

_MOST = 200  # runs looked at, the newest
_STORAGES = ("storage", "run_storage", "event_log_storage")
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


def this_process() -> str:
    """Value of the tag `PROCESS` of runs of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def state_of(run: Run) -> State | None:
    """Say what is to be told of a run; nothing of one that succeeded."""
    if run.status in _QUEUED:
        return "queued"
    if run.status in _ENDED:
        states: dict[str, State] = {"FAILURE": "failed", "CANCELED": "canceled"}
        return states.get(run.status)
    return "vanished" if _has_gone(run.process) else "running"


def worth_telling(runs: Iterable[Run]) -> list[Run]:
    """Choose the runs that have not ended, and of each job the last that did unless it succeeded.

    Parameters
    ----------
    runs : iterable of Run
        The newest first.

    Returns
    -------
    list of Run
        The newest first.
    """
    told, ended = [], set()
    for run in runs:
        if run.status in _ENDED:
            if run.job in ended:
                continue
            ended.add(run.job)
        if state_of(run) is not None:
            told.append(run)
    return told


def last_runs(home: Path) -> list[Run]:
    """Read the newest runs from Dagster's storage, the newest first; none before the first.

    Its usual storage is read without Dagster, whose import takes longer than all the rest of `elasticity status`.

    Parameters
    ----------
    home : Path
        DAGSTER_HOME.
    """
    settings = home / "dagster.yaml"
    known = yaml.safe_load(settings.read_text(encoding="utf-8")) if settings.exists() else None
    if any(name in (known or {}) for name in _STORAGES):
        return _runs_by_dagster(home)
    file = home / "history" / "runs.db"
    return _runs_in(file) if file.exists() else []


def reasons(home: Path, run_ids: Sequence[str]) -> dict[str, str]:
    """Read why runs failed, in one line each, by run_id."""
    import dagster as dg  # noqa: PLC0415

    from elasticity_assets.automation.run_failures import why_it_failed  # noqa: PLC0415

    with dg.DagsterInstance.from_config(str(home)) as instance:
        return {run_id: "; ".join(why_it_failed(instance, run_id)) for run_id in run_ids}


def _runs_in(file: Path) -> list[Run]:
    """Read them from Dagster's own SQLite file."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        rows = connection.execute(statement("dagster_runs"), (PROCESS, _MOST)).fetchall()
    return [
        Run(run_id, job, status, _utc(since) if since else datetime.fromisoformat(created), process)
        for run_id, job, status, since, created, process in rows
    ]


def _runs_by_dagster(home: Path) -> list[Run]:
    import dagster as dg  # noqa: PLC0415

    with dg.DagsterInstance.from_config(str(home)) as instance:
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


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _has_gone(process: str | None) -> bool:
    """Whether a process of this machine is there no more; of other machines' nothing is known."""
    host, _, number = (process or "").rpartition(":")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
