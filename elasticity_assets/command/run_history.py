"""Dagster's storage, the runs' history: where it fails, one line says which file, why, and what helps."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from elasticity_assets.words import cut, in_one_line
from elasticity_assets.yaml_file import YamlFileError, read_yaml

_STORAGES = ("storage", "run_storage", "event_log_storage", "schedule_storage")
_SPACE = 2**20
"""Bytes: with less, SQLite fails in several ways."""

_TABLE_MISSING = "a table of Dagster's record of the runs is missing"
_REMOVE = "remove it, and it is written anew"


class RunHistoryError(Exception):
    """Dagster's record of the runs cannot be read or written, said in one line."""


def instance_settings(home: Path) -> dict[str, Any]:
    """Read dagster.yaml.

    Parameters
    ----------
    home : Path
        DAGSTER_HOME.

    Raises
    ------
    RunHistoryError
        If it cannot be read.
    """
    file = home / "dagster.yaml"
    try:
        known = (read_yaml(file) if file.exists() else None) or {}
    except YamlFileError as error:
        raise RunHistoryError(f"{file}: {error}; or {_REMOVE}") from None
    if not isinstance(known, dict):
        raise RunHistoryError(f"{file}: no settings of Dagster's; {_REMOVE}")
    return known


def is_usual(home: Path) -> bool:
    """Whether the storage is Dagster's usual one: SQLite files in DAGSTER_HOME."""
    return not any(name in instance_settings(home) for name in _STORAGES)


@contextmanager
def told_in_one_line(home: Path) -> Iterator[None]:
    """Tell in one line what Dagster, SQLAlchemy and SQLite raise for a storage that fails.

    Raises
    ------
    RunHistoryError
    """
    import dagster as dg  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    usual = is_usual(home)
    try:
        yield
    except dg.DagsterInvalidConfigError as error:
        found = cut(in_one_line(error.errors[0].message if error.errors else error), 200)
        raise RunHistoryError(f"{home / 'dagster.yaml'}: {found}; mend it, or {_REMOVE}") from error
    except dg.DagsterInvalidInvocationError as error:
        if "dagster instance migrate" not in str(error):
            raise
        raise RunHistoryError(f"{home}: {_TABLE_MISSING}; {_move_away(home)}") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        why = in_one_line(getattr(error, "orig", None) or error)
        if not usual and next(_failing(home), None) is None:
            raise RunHistoryError(
                f"{home / 'dagster.yaml'}: the storage that it names cannot be used: {why}; see that it is up"
            ) from error
        raise RunHistoryError(_told(home, why)) from error


def check_files(home: Path) -> None:
    """Look whether each file of the usual storage is one of SQLite's; those that there are.

    Raises
    ------
    RunHistoryError
    """
    for file in _files(home):
        try:
            with closing(
                sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
            ) as opened:
                opened.execute("PRAGMA schema_version").fetchone()
        except sqlite3.Error as error:
            raise RunHistoryError(
                f"{file}: {in_one_line(error)}; {_remedy(home, file, str(error))}"
            ) from None


def file_told(file: Path, error: sqlite3.Error) -> str:
    """Tell in one line what is wrong with one SQLite file of the history."""
    return f"{file}: {in_one_line(error)}; {_remedy(file.parents[1], file, str(error))}"


def _files(home: Path) -> list[Path]:
    """SQLite files of the history; first those without which all of it is lost, then those of single runs."""
    return sorted(home.rglob("*.db"), key=lambda file: (_is_of_a_run(home, file), file))


def _is_of_a_run(home: Path, file: Path) -> bool:
    return file.parent == home / "history" / "runs" and file.stem != "index"


def _told(home: Path, why: str) -> str:
    if shutil.disk_usage(home).free < _SPACE:
        return f"{home}: the disk is full; free some of it, and run again"
    file, found = next(_failing(home), (home, why))
    return f"{file}: {found}; {_remedy(home, file, found)}"


def _failing(home: Path) -> Iterator[tuple[Path, str]]:
    """SQLite files of the history that cannot be read or written, and why."""
    for file in _files(home):
        try:
            with closing(
                sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=1)
            ) as opened:
                (found,) = opened.execute("PRAGMA quick_check(1)").fetchone()
                opened.execute("BEGIN IMMEDIATE")
                opened.rollback()
        except sqlite3.Error as error:
            yield file, in_one_line(error)
        else:
            if found != "ok":
                yield file, f"is damaged: {in_one_line(found)}"
            elif not os.access(file, os.W_OK):
                yield file, "is read-only"


def _remedy(home: Path, file: Path, why: str) -> str:
    if "locked" in why:
        return (
            "another process has it; try again; or its file system has no locks: set DAGSTER_HOME to a folder on one "
            "that has, such as a local disk"
        )
    if _is_of_a_run(home, file):
        return "remove it: only the events of that run are lost"
    return _move_away(home)


def _move_away(home: Path) -> str:
    return f"move {home} away: only the runs' history is lost, and which schedules are on"
