"""One run at a time on a warehouse that many machines share: an advisory lock in its catalog's database.

It lasts as long as the session that holds it: a process that is killed, or a machine that goes, frees it.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_random

from elasticity_assets.warehouse.file import Say
from elasticity_assets.warehouse.run_lock import RunLockError
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import in_one_line

_KEY = 5_210_433_671_207_154_932  # any number that nobody else takes


@contextmanager
def postgres_lock(catalog: str, wait_seconds: float = 3600.0, say: Say = lambda line: None) -> Iterator[None]:
    """Keep other processes and threads, on any machine, from runs; the thread that has it may take it again.

    Parameters
    ----------
    catalog : str
        Connection string of the database, as libpq takes it.
    wait_seconds : float
        How long to wait for another run to end.
    say : callable
        Takes one line before the wait begins.

    Raises
    ------
    RunLockError
        If another run has it all the time, or the database cannot be reached.
    """
    with _turns_lock:
        turn = _turns.setdefault(catalog, _Turn())
    if not turn.threads.acquire(timeout=wait_seconds):
        raise RunLockError(f"{catalog}: another run of this process is at work; waited {wait_seconds:g} s")
    try:
        if turn.session is not None:  # this thread has it, unless the session has ended
            _check_alive(catalog, turn.session)
            yield
            return
        turn.session = _locked_session(catalog, wait_seconds, say)
        try:
            yield
        finally:
            turn.session.close()
            turn.session = None
    finally:
        turn.threads.release()


class _Turn:
    """Turns of this process's threads at one database's lock."""

    def __init__(self) -> None:
        self.threads = threading.RLock()
        self.session: Any = None


_turns: dict[str, _Turn] = {}
_turns_lock = threading.Lock()


def _locked_session(catalog: str, wait_seconds: float, say: Say) -> Any:
    """Open a session and take the lock in it."""
    import psycopg2  # noqa: PLC0415  # only where the catalog is in PostgreSQL

    name = f"elasticity process {os.getpid()} on {socket.gethostname()}"
    try:
        # A network that drops idle sessions would free the lock.
        session = psycopg2.connect(catalog, application_name=name, keepalives=1, keepalives_idle=30)
        with ExitStack() as on_error:
            on_error.callback(session.close)
            session.autocommit = True
            session.cursor().execute(statement("run_lock_keepalives"))
            if not _take(session):
                say(f"{catalog}: {_holder(session)} is at work on it; waiting until that run ends")
                _wait(catalog, session, wait_seconds)
            on_error.pop_all()  # from here on it is the lock's
            return session
    except psycopg2.Error as error:
        raise RunLockError(f"{catalog}: cannot be reached: {in_one_line(error)}") from None


def _wait(catalog: str, session: Any, wait_seconds: float) -> None:
    """Take the lock when another run has ended."""
    tries = Retrying(
        retry=retry_if_result(lambda taken: not taken),
        wait=wait_random(0.1, 1.0),
        stop=stop_after_delay(wait_seconds),
    )
    try:
        tries(_take, session)
    except RetryError:
        raise RunLockError(
            f"{catalog}: {_holder(session)} is at work on it; waited {wait_seconds:g} s, try again later"
        ) from None


def _check_alive(catalog: str, session: Any) -> None:
    import psycopg2  # noqa: PLC0415

    try:
        session.cursor().execute(statement("still_there"))
    except psycopg2.Error as error:
        raise RunLockError(
            f"{catalog}: the lock was lost, and another run may be at work: {in_one_line(error)}; refit"
        ) from None


def _take(session: Any) -> bool:
    with session.cursor() as cursor:
        cursor.execute(statement("take_run_lock"), {"key": _KEY})
        return bool(cursor.fetchone()[0])


def _holder(session: Any) -> str:
    """Name the process that has the lock."""
    with session.cursor() as cursor:
        cursor.execute(statement("run_lock_holder"), {"key": _KEY})
        found = cursor.fetchone()
    return found[0] if found and found[0] else "another process"
