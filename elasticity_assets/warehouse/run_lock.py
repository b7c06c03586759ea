"""One run at a time on a warehouse, between processes: the daemon's, the UI's and the command's.

A run reads at its end what it wrote at its beginning, the fits and the pooling beside the tables; another
run in between would let a refit publish a mixture of both.
"""

import os
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from elasticity_assets.processes import has_gone
from elasticity_assets.words import shown

_PROCESS, _ON = "process ", " on "
"""How the holder is named, beside the lock."""


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
        If another run has it all the time, or the file system has no locks.
    """
    warehouse = warehouse.resolve()
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    # A singleton, so that whoever holds the lock may call something that takes it too.
    lock = FileLock(warehouse.with_name(f".{warehouse.name}.lock"), mode=0o600, is_singleton=True)
    holder = warehouse.with_name(f".{warehouse.name}.holder")  # some versions of filelock empty the lock file
    try:
        _acquire(lock, 0.0)
    except Timeout:
        if _is_left_behind(lock, holder):
            Path(lock.lock_file).unlink(missing_ok=True)
        else:
            say(f"{warehouse}: {_name(holder)} is at work on it; waiting until that run ends")
        try:
            _acquire(lock, wait_seconds)
        except Timeout:
            remedy = "try again later"
            if isinstance(lock, SoftFileLock):
                remedy += f"; if that process has gone, delete {lock.lock_file}"
            raise RunLockError(
                f"{warehouse}: {_name(holder)} is at work on it; waited {wait_seconds:g} s, {remedy}"
            ) from None
    try:
        holder.touch(mode=0o600)
        holder.write_text(f"{_PROCESS}{os.getpid()}{_ON}{socket.gethostname()}")
        yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, wait_seconds: float) -> None:
    """Take the lock: the system's, or where the file system has none a file that stands for it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "flock not supported")
            lock.acquire(timeout=wait_seconds)
    except Timeout:  # an OSError, too
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise RunLockError(
            f"{lock.lock_file}: {error.strerror}: this file system has no locks; put the warehouse on one that has, "
            "such as a local disk"
        ) from None


def _is_left_behind(lock: BaseFileLock, holder: Path) -> bool:
    """Whether a file that stands for the lock is of a process of this machine that has gone.

    filelock itself knows where the file names the process; one that an earlier version left, or that was brought from
    a file system with locks, is empty.
    """
    file = Path(lock.lock_file)
    if not isinstance(lock, SoftFileLock) or not file.exists() or file.read_bytes():
        return False
    number, _, host = _name(holder).removeprefix(_PROCESS).partition(_ON)
    return number.isdecimal() and host in ("", socket.gethostname()) and has_gone(int(number))


def _name(holder: Path) -> str:
    try:
        return shown(holder.read_text(errors="replace"), 100) or "another process"
    except OSError:
        return "another process"
