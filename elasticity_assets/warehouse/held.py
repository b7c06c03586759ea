"""What DuckDB says of a file that it cannot lock; without Dagster, for `elasticity status`."""

import errno
import os
import re
from pathlib import Path

import duckdb

_NO_LOCKS = (
    "File locks are not supported",  # DuckDB's own words
    *(os.strerror(number) for number in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)),
)


class NoLocksError(OSError):
    """A file's file system has no locks, told in one line with what helps."""

    def __init__(self, file: Path | str) -> None:
        super().__init__(
            f"{file}: this file system has no locks; put the warehouse on one that has, such as a local disk"
        )


def is_held(error: BaseException) -> bool:
    """Whether a file could not be opened because another process has it."""
    return _is_not_locked(error) and not has_no_locks(error)


def has_no_locks(error: BaseException) -> bool:
    """Whether a file could not be opened because its file system has no locks."""
    return _is_not_locked(error) and any(sign in str(error) for sign in _NO_LOCKS)


def holder(error: BaseException) -> str:
    """Name the process that holds the file, from DuckDB's message."""
    found = re.search(r"Conflicting lock is held in (.+?\(PID \d+\))", str(error))
    return found.group(1) if found else "another process"


def _is_not_locked(error: BaseException) -> bool:
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)
