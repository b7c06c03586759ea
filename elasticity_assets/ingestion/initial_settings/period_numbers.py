"""Columns of labels of periods, of a year and a part of it, or of numbers that count periods."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from elasticity_assets.ingestion.initial_settings.column_names import calendar_part, date_rank, ideas
from elasticity_assets.ingestion.initial_settings.column_profiles import (
    NEARLY_ALL,
    ColumnProfile,
    count_values,
)
from elasticity_assets.ingestion.initial_settings.decision import Decision, example
from elasticity_assets.ingestion.month_names import is_month
from elasticity_assets.warehouse.sql import quoted, statement

MOST_LABELS = 5_000
"""Distinct labels, at most."""

COMPACT_LABELS = (195_001, 210_053)
"""Labels such as 202405, read as numbers."""

LARGEST = {"day": 366, "week": 53, "month": 12, "quarter": 4}
"""The largest number of a period in a year."""


@dataclass(frozen=True)
class PeriodColumn:
    """Decisions about the period, the columns used, and a row's period as SQL over `delivered`."""

    decisions: list[Decision]
    columns: list[str]
    day: str | None


def find_labels(
    connection: duckdb.DuckDBPyConnection, profiles: Mapping[str, ColumnProfile]
) -> PeriodColumn | None:
    """Find labels such as 2024-W05, 2024-05, 202405 or 2024-Q2."""
    for profile in sorted(profiles.values(), key=lambda profile: -date_rank(profile.name)):
        rank = date_rank(profile.name)
        if not profile.n_given or profile.n_distinct > MOST_LABELS or rank == 0:
            continue
        if profile.is_number and (rank < 2 or not profile.lies_between(*COMPACT_LABELS)):
            continue
        count_values(connection, profile.name, profile.kind)
        read = {period: _starts(connection, period) for period in ("week", "month", "quarter")}
        if any(read.values()):
            return _labelled(profile, {period: starts for period, starts in read.items() if starts})
    return None


def _starts(connection: duckdb.DuckDBPyConnection, period: str) -> list[date]:
    """Read all labels as those of a period; nothing where some cannot be."""
    ask = statement("starts_of_labels", period=quoted(period, "'"))
    n_others, starts = connection.execute(ask).fetchall()[0]
    return starts if not n_others and starts[0].year >= 1950 and starts[-1].year <= 2100 else []


def _labelled(profile: ColumnProfile, read: Mapping[str, Sequence[date]]) -> PeriodColumn:
    """Tell weeks from months: by the name, or as the numbers stop at twelve in more than a full year."""
    named = calendar_part(profile.name)
    shown = example(*profile.frequent[:2])
    column = Decision("columns.period", profile.name, f"It holds labels of periods, such as {shown}.")
    period = named if named is not None and named in read else next(iter(read))
    if len(read) > 1 and named not in read:
        months = read["month"]
        if len(months) < 13 or max(month.month for month in months) < 12:
            why = f"{profile.name!r} ({shown}) may be weeks or months; write which"
            return PeriodColumn([column, Decision("period", None, why)], [profile.name], None)
        period = "month"
    first, last = read[period][0], read[period][-1]
    halves = period == "quarter" and {start.month for start in read[period]} <= {1, 7}
    what = "half-years, each put at its first quarter" if halves else f"{period}s"
    step = Decision("period", period, f"The labels are those of {what}, from {first} to {last}.")
    return PeriodColumn([column, step], [profile.name], f"CAST(delivered.{quoted(profile.name)} AS VARCHAR)")


def find_year_and_part(
    connection: duckdb.DuckDBPyConnection, profiles: Mapping[str, ColumnProfile]
) -> PeriodColumn | None:
    """Find a year, and the number of a week, month or quarter beside it."""
    years = [p for p in profiles.values() if calendar_part(p.name) == "year" and p.lies_between(1950, 2100)]
    day = next(
        (p.name for p in profiles.values() if calendar_part(p.name) == "day" and p.lies_between(1, 31)), None
    )
    for part in ("week", "month", "quarter"):
        for profile in profiles.values():
            if years and profile.n_given and calendar_part(profile.name) == part and _is_part(profile, part):
                return _paired(connection, years[0], profile, part, day)
    return None


def _is_part(profile: ColumnProfile, part: str) -> bool:
    values = [*profile.frequent, *profile.some]
    return (
        profile.lies_between(1, LARGEST[part])
        or (
            part == "week"
            and all(re.fullmatch(r"(?:w|wk|week|kw|cw)[- ]?\d\d?", v, re.IGNORECASE) for v in values)
        )
        or (part == "month" and all(map(is_month, values)))
        or (part == "quarter" and all(re.fullmatch("[Qq][1-4]", value) for value in values))
    )


def _paired(
    connection: duckdb.DuckDBPyConnection,
    year: ColumnProfile,
    profile: ColumnProfile,
    part: str,
    day: str | None,
) -> PeriodColumn:
    shown = example(profile.frequent[0])
    unused = (
        f"; {day!r} is not used: deliver a column of dates to have weeks" if day and part == "month" else ""
    )
    decisions = [
        Decision(
            "columns.period",
            profile.name,
            f"It is the {part} in the year, {shown}; alone it would repeat every year.",
        ),
        Decision("columns.year", year.name, f"It goes with {profile.name!r}: {example(*year.frequent[:2])}."),
        Decision("period", part, f"{year.name!r} and {profile.name!r} together name a {part}{unused}."),
    ]
    if part == "week":
        decisions.append(_first_week(connection, year, profile))
    row_period = f"concat_ws(' ', delivered.{quoted(year.name)}, delivered.{quoted(profile.name)})"
    return PeriodColumn(decisions, [profile.name, year.name], row_period)


def _first_week(connection: duckdb.DuckDBPyConnection, year: ColumnProfile, week: ColumnProfile) -> Decision:
    """Tell ISO weeks from those of 1 January by weeks 53 in years that have no ISO week 53."""
    ask = statement("years_with_week_53", year=quoted(year.name), week=quoted(week.name))
    long = [int(row[0]) for row in connection.execute(ask).fetchall()]
    short = [number for number in long if date(number, 12, 28).isocalendar().week == 52]
    if short:
        why = f"{short[0]} has a week 53, which no ISO week is: week 1 is that of 1 January."
        return Decision("first_week", "january_1", why)
    return Decision("first_week", "iso", "No week speaks against ISO's; else write january_1.")


def find_counted_periods(
    connection: duckdb.DuckDBPyConnection, profiles: Mapping[str, ColumnProfile]
) -> PeriodColumn | None:
    """Find bare numbers of days, weeks or months that count on and on; refuse those that may repeat."""
    for profile in profiles.values():
        part = calendar_part(profile.name) or ("week" if "period" in ideas(profile.name) else None)
        if part in ("day", "week", "month") and profile.lies_between(0, 9_999):
            largest = int(profile.with_point.largest or 0)
            ends = 31 if part == "day" else LARGEST[part]
            why = _repeating(connection, profile, profiles, largest, ends) if largest <= ends else None
            if why is not None:
                return PeriodColumn([Decision("columns.period", None, why)], [profile.name], None)
            return _counted(profile, part, largest)
    return None


def _repeating(
    connection: duckdb.DuckDBPyConnection,
    profile: ColumnProfile,
    profiles: Mapping[str, ColumnProfile],
    largest: int,
    ends: int,
) -> str | None:
    """Say why numbers that fit into a year may be of several; None where each product has one line a number."""
    key = ", ".join(
        f"CAST(delivered.{quoted(p.name)} AS VARCHAR)"
        for p in profiles.values()
        if p.name == profile.name or not p.is_number or p.n_leading_zero or _is_code(p)
    )
    n_rows, n_keys = connection.execute(statement("lines_per_number", key=key)).fetchall()[0]
    if n_keys < NEARLY_ALL * n_rows:
        return (
            f"{profile.name!r} holds bare numbers up to {largest}, which would repeat every year; "
            "add a column of the year "
            "(sales.columns.year), or dates"
        )
    if largest < ends:
        return None
    return (
        f"{profile.name!r} holds numbers up to {largest}, without a year: if all rows are of one "
        "year, name this column "
        "here; else add a column of the year (sales.columns.year)"
    )


def _counted(profile: ColumnProfile, part: str, largest: int) -> PeriodColumn:
    why = (
        f"It counts {part}s, from {profile.with_point.smallest:g} to {largest}; number 1 is put at the "
        "start of 2000."
    )
    decisions = [
        Decision("columns.period", profile.name, why),
        Decision("period", part, f"{profile.name!r} is the number of a {part}."),
    ]
    return PeriodColumn(decisions, [profile.name], f"CAST(delivered.{quoted(profile.name)} AS VARCHAR)")


def _is_code(profile: ColumnProfile) -> bool:
    return bool(ideas(profile.name) & {"product", "code", "store", "category", "place"})
