"""What messages and tables have in common: an error in one line, the time of day, and today."""

from datetime import UTC, date, datetime, timedelta


def in_one_line(error: object) -> str:
    """Give the text of an error, or of anything else, without line breaks and runs of blanks."""
    return " ".join(str(error).split())


def cut(text: str, most: int) -> str:
    """Cut a text to a number of characters, the last of them `…` where some are missing."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def shown(name: str, most: int) -> str:
    """Show a name that somebody else chose: in one line, without signs that steer a terminal, and cut."""
    return cut(name if name.isprintable() else repr(name), most)


def reason(error: BaseException) -> str:
    """Say in one line why something ended with an error, with its class."""
    return f"{type(error).__name__}: {in_one_line(error)}"


def memory_ran_out(kind: str, message: str) -> str | None:
    """Say in one line that memory ran out, and what helps; None where an error is another.

    Parameters
    ----------
    kind : str
        Name of the error's class.
    message : str
    """
    if kind == "OutOfMemoryException" and "max_temp_directory_size" in message:
        return (
            "the disk is full: what does not fit in memory has no room on it; free some of it, or raise "
            "`warehouse_memory`, and run again"
        )
    if kind == "OutOfMemoryException" and " used)" in message:  # all that it was allowed
        return "memory ran out: DuckDB needs more than `warehouse_memory` allows; raise it, and run again"
    signs = ("RESOURCE_EXHAUSTED", "Cannot allocate memory")
    if kind == "OutOfMemoryException" or kind.endswith("MemoryError") or any(s in message for s in signs):
        return (
            "memory ran out; lower `warehouse_memory`, run on a machine with more, or split the largest category, "
            "and run again"
        )
    return None


def utc_now() -> datetime:
    """Time of day in UTC, naive, to the second: what the tables hold."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def latest_today() -> date:
    """Today where the day begins first, at UTC+14: no later day has begun anywhere."""
    return (datetime.now(UTC) + timedelta(hours=14)).date()
