"""Which column says when a sale was, and which periods sales are added up to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb

from elasticity_assets.ingestion.delivered_column import DeliveredColumn
from elasticity_assets.ingestion.initial_settings.column_names import date_rank
from elasticity_assets.ingestion.initial_settings.column_profiles import ColumnProfile
from elasticity_assets.ingestion.initial_settings.date_columns import (
    DateColumn,
    choose_column,
    find_date_columns,
    step_of,
)
from elasticity_assets.ingestion.initial_settings.decision import Decision, example
from elasticity_assets.ingestion.initial_settings.period_numbers import (
    PeriodColumn,
    find_counted_periods,
    find_labels,
    find_year_and_part,
)
from elasticity_assets.warehouse.sql import quoted

KEY = "columns.period"

_ZONED = re.compile(r":\d\d(?:\.\d+)? ?(?:Z|[+-]\d\d(?::?\d\d)?)$")
"""A time with a zone, such as 2024-01-31T10:00:00Z."""


@dataclass(frozen=True)
class PeriodFound:
    """What was found out about time.

    Attributes
    ----------
    decisions : list of Decision
    columns : list of str
        Columns used.
    day : str or None
        SQL expression of a row's period in `delivered`, to compare rows of one period; None if it is not known.
    """

    decisions: list[Decision]
    columns: list[str]
    day: str | None


def find_period(
    connection: duckdb.DuckDBPyConnection, profiles: Mapping[str, ColumnProfile], today: date
) -> PeriodFound:
    """Find the column of dates, else of labels or numbers of periods, of the table `delivered`."""
    dated = find_date_columns(connection, profiles, today)
    if dated:
        chosen = choose_column(dated, profiles)
        if isinstance(chosen, str):
            return PeriodFound([Decision(KEY, None, chosen)], [column.name for column in dated], None)
        return _of_dates(chosen, dated, profiles)
    for find in (find_labels, find_year_and_part, find_counted_periods):
        found: PeriodColumn | None = find(connection, profiles)
        if found is not None:
            return PeriodFound(found.decisions, found.columns, found.day)
    return PeriodFound([Decision(KEY, None, _missing(profiles))], [], None)


def _of_dates(
    chosen: DateColumn, dated: list[DateColumn], profiles: Mapping[str, ColumnProfile]
) -> PeriodFound:
    name, profile = chosen.name, profiles[chosen.name]
    others = [other.name for other in dated if other is not chosen]
    beside = f"; other dates: {example(*others)}" if others else ""
    why = f"It holds dates, such as {example(profile.frequent[0])}{beside}."
    decisions = [Decision(KEY, name, why)]
    if chosen.reading is None:
        open_ = f"{name!r}: {example(profile.frequent[0])} {chosen.why}"
        weeks = "Dates are added up to weeks; look again once they are read."
        return PeriodFound(
            [*decisions, Decision("date_format", None, open_), Decision("period", "week", weeks)],
            [name],
            None,
        )
    reading = chosen.reading
    if reading.date_format is not None:
        values = (
            "every value" if chosen.unread is None else f"all values but such as {example(chosen.unread)}"
        )
        reason = f"; {chosen.why}" if chosen.why else ""
        why = f"It reads {values} of {name!r}, from {reading.days[0]} to {reading.days[-1]}{reason}."
        decisions.append(Decision("date_format", reading.date_format, why))
    if zoned := next(filter(_ZONED.search, [*profile.frequent, *profile.some]), None):
        why = f"{example(zoned)} has a zone: its date is the one in UTC; write your shops' zone, such as Europe/Berlin."
        decisions.append(Decision("timezone", "UTC", why))
    decisions.append(step_of(name, reading))
    column = DeliveredColumn(f"delivered.{quoted(name)}", profile.kind)
    return PeriodFound(decisions, [name], column.period(reading.date_format)[0])


def _missing(profiles: Mapping[str, ColumnProfile]) -> str:
    for profile in profiles.values():
        if date_rank(profile.name) >= 2 and profile.n_digits:
            return (
                f"{profile.name!r} looks like dates ({example(*profile.some[:2])}), which no one format reads; write "
                "them one way, best as 2024-01-31"
            )
    return (
        "no column of dates, of labels such as 2024-W05, or of a year and a week or month is found among "
        f"{example(*list(profiles)[:12])}"
    )
