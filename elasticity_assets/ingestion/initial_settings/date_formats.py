"""Formats of dates that may read a column's values, and which of several is meant."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from elasticity_assets.ingestion.month_names import is_month

_CLOCK = re.compile(
    r"(?P<between>[ T]+)(?P<hour>\d{1,2}):\d{2}(?P<second>:\d{2})?(?P<fraction>[.,]\d+)?(?P<half> ?[AaPp][Mm])?"
    r"(?P<zone> ?Z| ?[+-]\d{2}:?\d{2})?$"
)
_WEEKDAYS = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
_LONG_WEEKDAYS = {
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
}  # fmt: skip

_BETWEEN = {"de", "del", "of"}
"""Words in dates; any other, such as the Q of a quarter, means something else."""

MOST_FORMATS = 24
"""Candidates that are tried on all values."""


def candidate_formats(values: Sequence[str]) -> list[str]:
    """List the strptime formats that the look of some values allows, without trying them."""
    found: dict[str, None] = {}
    for value in values:
        found |= dict.fromkeys(_formats_of(value))
    return list(found)[:MOST_FORMATS]


def _formats_of(value: str) -> list[str]:
    clock = _CLOCK.search(value)
    end = _clock_format(clock) if clock else ""
    day = value[: clock.start()] if clock else value
    parts = re.findall(r"\d+|[^\W\d_]+|[\W_]+", day)
    numbers = [part for part in parts if part.isdecimal()]
    names = [part for part in parts if part.isalpha()]
    fields = [_name_field(name) for name in names]
    others = {name.casefold() for name, field in zip(names, fields, strict=True) if field is None}
    if len(parts) > 9 or any(len(number) > 8 for number in numbers) or others - _BETWEEN:
        return []
    month_named = any(field in ("%b", "%B") for field in fields)
    formats = []
    for order in _orders(numbers, month_named):
        filled, by_number, by_name = [], iter(order), iter(fields)
        for part in parts:
            if part.isdecimal():
                filled.append(next(by_number))
            elif part.isalpha():
                filled.append(next(by_name) or part)
            else:
                filled.append(part.replace("%", "%%"))
        formats.append("".join(filled) + end)
    return formats


def _clock_format(clock: re.Match[str]) -> str:
    half = clock["half"] or ""
    return "".join(
        [
            clock["between"],
            "%I" if half else "%H",
            ":%M",
            ":%S" if clock["second"] else "",
            f"{clock['fraction'][0]}%f" if clock["fraction"] else "",
            half[:-2] + "%p" if half else "",
            (" " if clock["zone"][0] == " " else "") + ("Z" if clock["zone"].strip() == "Z" else "%z")
            if clock["zone"]
            else "",
        ]
    )


def _name_field(name: str) -> str | None:
    folded = name.casefold()
    if is_month(name):
        return "%b" if len(name) == 3 else "%B"
    if folded in _WEEKDAYS or folded in _LONG_WEEKDAYS:
        return "%a" if len(name) == 3 else "%A"
    return None


def _orders(numbers: list[str], month_named: bool) -> list[tuple[str, ...]]:
    """Say which fields the numbers of a date may be, the usual order first."""
    lengths = tuple(map(len, numbers))
    if month_named:
        orders = _MONTH_NAMED.get(len(numbers), {})
    elif len(numbers) == 3 and max(lengths) <= 2:
        orders = _SHORT
    else:
        orders = _ALL_NUMBERS.get(len(numbers), {})
    return [
        order
        for order, least in orders.items()
        if all(low <= length <= max(low, 2) for low, length in zip(least, lengths, strict=True))
    ]


_MONTH_NAMED: dict[int, dict[tuple[str, ...], tuple[int, ...]]] = {
    2: {("%d", "%Y"): (1, 4), ("%d", "%y"): (1, 2), ("%Y", "%d"): (4, 1)},
    1: {("%Y",): (4,), ("%y",): (2,)},
}
_SHORT: dict[tuple[str, ...], tuple[int, ...]] = {
    ("%d", "%m", "%y"): (1, 1, 2),
    ("%m", "%d", "%y"): (1, 1, 2),
    ("%y", "%m", "%d"): (2, 1, 1),
}
_ALL_NUMBERS: dict[int, dict[tuple[str, ...], tuple[int, ...]]] = {
    3: {
        ("%Y", "%m", "%d"): (4, 1, 1),
        ("%Y", "%d", "%m"): (4, 1, 1),
        ("%d", "%m", "%Y"): (1, 1, 4),
        ("%m", "%d", "%Y"): (1, 1, 4),
    },
    2: {("%m", "%Y"): (1, 4), ("%Y", "%m"): (4, 1)},
    1: {("%Y%m%d",): (8,), ("%d%m%Y",): (8,), ("%m%d%Y",): (8,)},
}
"""Orders of fields by how many numbers a date has, and the fewest digits of each; a year has that many."""


@dataclass(frozen=True)
class DateReading:
    """One way to read a column as dates.

    Attributes
    ----------
    date_format : str or None
        A strptime format, `excel`, or None for ISO dates.
    days : list of date
        The distinct days, sorted.
    n_read : int
        Rows that are read.
    n_backwards : int
        How often a row's day lies before the day of the row above.
    """

    date_format: str | None
    days: list[date]
    n_read: int
    n_backwards: int

    @property
    def gaps(self) -> list[int]:
        """Days between neighbouring days."""
        return [(later - earlier).days for earlier, later in itertools.pairwise(self.days)]

    @property
    def step(self) -> str | None:
        """The regular step of the days: day, week or month; None if there is none, or too few days to tell."""
        if len(self.days) < FEWEST_DAYS:
            return None
        if self.is_monthly:
            return "month"
        if all(gap % 7 == 0 for gap in self.gaps) and sorted(self.gaps)[len(self.gaps) // 2] <= 28:
            return "week"
        if len(self.days) >= 0.5 * ((self.days[-1] - self.days[0]).days + 1):
            return "day"
        return None

    @property
    def is_monthly(self) -> bool:
        """Whether there is one day a month, the same of each or each one's last, in most months of their span."""
        months = {12 * day.year + day.month for day in self.days}
        last = all((day + timedelta(1)).day == 1 for day in self.days)
        one_a_month = len(months) == len(self.days) and (last or len({day.day for day in self.days}) == 1)
        return one_a_month and len(months) >= 0.5 * (max(months) - min(months) + 1)

    @property
    def is_whole_year(self) -> bool:
        """Whether these are the twelve months of one year."""
        return self.is_monthly and len(self.days) == 12 and len({day.year for day in self.days}) == 1


def choose(readings: Sequence[DateReading], today: date) -> tuple[DateReading | None, str]:
    """Choose among readings that read the same values, by evidence.

    Returns
    -------
    reading : DateReading or None
        None where nothing tells them apart.
    why : str
        The evidence, or what is ambiguous.
    """
    left = _different(readings)
    if len(left) == 1:
        return left[0], ""
    tests: list[tuple[Callable[[DateReading], bool], str]] = [
        (lambda r: r.days[-1] <= today + timedelta(366), "any other would give dates far in the future"),
        (lambda r: r.days[0].year >= 1970, "any other would give dates before 1970"),
        (lambda r: r.step is not None, "with it the dates are regularly spaced"),
        (lambda r: r.is_whole_year, "with it the dates are the twelve months of a year"),
    ]
    for fits, reason in tests:
        fitting = [reading for reading in left if fits(reading)]
        if len(fitting) == 1:
            return fitting[0], reason
        left = fitting or left
    fewest = min(reading.n_backwards for reading in left)
    first, *others = sorted(left, key=lambda reading: reading.n_backwards)
    if all(other.n_backwards >= MUCH_LESS_ORDERED * max(fewest, 1) for other in others):
        return first, "with it the rows go forward in time"
    said = " or ".join(
        f"{reading.date_format or 'ISO'} ({reading.days[0]} to {reading.days[-1]})" for reading in left
    )
    return None, f"may be read as {said}, and nothing in the file tells which"


def _different(readings: Sequence[DateReading]) -> list[DateReading]:
    """Drop readings that give the same days as one before."""
    return [
        reading for n, reading in enumerate(readings) if all(reading.days != r.days for r in readings[:n])
    ]


FEWEST_DAYS = 5
"""Fewer days tell no step."""

MUCH_LESS_ORDERED = 3
"""Times as many rows that go back in time speak against a reading."""
