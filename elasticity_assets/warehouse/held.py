"""What DuckDB says of a file that another process holds; without Dagster, for `elasticity status`."""

import re

import duckdb


def is_held(error: BaseException) -> bool:
    """Whether a file could not be opened because another process has it."""
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)


def holder(error: BaseException) -> str:
    """Name the process that holds the file, from DuckDB's message."""
    found = re.search(r"Conflicting lock is held in (.+?\(PID \d+\))", str(error))
    return found.group(1) if found else "another process"
