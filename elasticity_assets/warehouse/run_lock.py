"""One run at a time on a warehouse, between processes: the daemon's, the UI's and the command's.

A run reads at its end what it wrote at its beginning, the fits and the pooling beside the tables; another
run in between would let a refit publish a mixture of both.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class RunLockError(Exception):
    """Another run kept the warehouse all the time, told in one line."""


@contextmanager
def run_lock(
    warehouse: Path, wait_seconds: float = 3600.0, say: Callable[[str], object] = lambda line: None
) -> Iterator[None]:
    """Keep other processes and threads from runs on this warehouse; the thread that has it may take it again.

    Parameters
    ----------
    warehouse : Path
        The warehouse's file; it need not exist.
    wait_seconds : float
        How long to wait for another run to end.
    say : callable
        Takes one line before the wait begins.

    Raises
    ------
    RunLockError
        If another run has it all the time.
    """
    warehouse = warehouse.resolve()
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    # A singleton, so that whoever holds the lock may call something that takes it too.
    lock = FileLock(warehouse.with_name(f".{warehouse.name}.lock"), is_singleton=True)
    holder = warehouse.with_name(f".{warehouse.name}.holder")  # some versions of filelock empty the lock file
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{warehouse}: {_name(holder)} is at work on it; waiting until that run ends")
        try:
            lock.acquire(timeout=wait_seconds)
        except Timeout:
            raise RunLockError(
                f"{warehouse}: {_name(holder)} is at work on it; waited {wait_seconds:g} s, try again later"
            ) from None
    try:
        holder.write_text(f"process {os.getpid()}")
        yield
    finally:
        lock.release()


def _name(holder: Path) -> str:
    try:
        return holder.read_text() or "another process"
    except OSError:
        return "another process"
