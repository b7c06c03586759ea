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


def utc_now() -> datetime:
    """Time of day in UTC, naive, to the second: what the tables hold."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def latest_today() -> date:
    """Today where the day begins first, at UTC+14: no later day has begun anywhere."""
    return (datetime.now(UTC) + timedelta(hours=14)).date()
