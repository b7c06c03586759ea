"""The columns that hold dates, each with the format that reads every value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import duckdb

from elasticity_assets.ingestion.delivered_column import DeliveredColumn
from elasticity_assets.ingestion.initial_settings.column_names import calendar_part, date_rank, ideas
from elasticity_assets.ingestion.initial_settings.column_profiles import (
    NEARLY_ALL,
    ColumnProfile,
    count_values,
)
from elasticity_assets.ingestion.initial_settings.date_formats import DateReading, candidate_formats, choose
from elasticity_assets.ingestion.initial_settings.decision import Decision, example
from elasticity_assets.warehouse.sql import quoted, statement

EXCEL_SERIALS = (20_000, 60_000)
"""Excel's numbers of the days from 1954 to 2064."""

COMPACT_DATES = (19_000_101, 21_991_231)
"""Dates such as 20240131, read as numbers."""

MOST_HAVE_DIGITS = 0.9
"""Share of a column of dates that have a digit; the rest are names of totals and the like."""

DAYS_OF_A_QUARTER = 80


@dataclass(frozen=True)
class DateColumn:
    """A column whose values are dates.

    Attributes
    ----------
    name : str
    reading : DateReading or None
        How it is read; None where several ways are as likely.
    why : str
        What speaks for the reading, or what is ambiguous.
    rank : int
        How much its name says that these are the days of sales.
    unread : str or None
        A value that is no date.
    """

    name: str
    reading: DateReading | None
    why: str
    rank: int
    unread: str | None = None


def find_date_columns(
    connection: duckdb.DuckDBPyConnection, profiles: Mapping[str, ColumnProfile], today: date
) -> list[DateColumn]:
    """Find all columns of the table `delivered` whose values are dates."""
    found = []
    for profile in profiles.values():
        formats = _formats(profile)
        if not formats or not profile.n_given:
            continue
        count_values(connection, profile.name, profile.kind)
        readings = _readings(connection, profile, formats)
        if readings:
            found.append(_column(connection, profile, profiles, readings, today))
    return found


def _formats(profile: ColumnProfile) -> list[str | None]:
    """List the formats that are worth trying; None is ISO."""
    if profile.is_date_type:
        return [None]
    if profile.n_digits < MOST_HAVE_DIGITS * profile.n_given:
        return []
    return _formats_of_numbers(profile) if profile.is_number else [None, *candidate_formats(profile.some)]


def _formats_of_numbers(profile: ColumnProfile) -> list[str | None]:
    """List the formats that whole numbers may have, such as 20240131 or Excel's 45322."""
    rank = date_rank(profile.name)
    if rank == 0:
        return []
    if profile.with_point.n_fractions:  # Excel's, with the time of day
        first, last = profile.with_point.smallest or 0, profile.with_point.largest or 0
        return ["excel"] if rank >= 2 and EXCEL_SERIALS[0] <= first <= last <= EXCEL_SERIALS[1] else []
    if profile.lies_between(*COMPACT_DATES):
        return [None, *(candidate_formats(profile.some) if rank >= 2 else [])]
    if rank < 2:
        return []
    serials = ["excel"] if profile.lies_between(*EXCEL_SERIALS) else []
    return [*candidate_formats(profile.some), *serials]


def _readings(
    connection: duckdb.DuckDBPyConnection, profile: ColumnProfile, formats: Sequence[str | None]
) -> list[DateReading]:
    """Read all values in each format, and keep those that read most, nearly all."""
    readings = []
    for date_format in formats:
        ask = statement("days_of_values", day=_day(date_format))
        days, n = connection.execute(ask).fetchall()[0]
        if n and n >= NEARLY_ALL * profile.n_digits:
            readings.append(DateReading(date_format, days, n, 0))
    best = max((reading.n_read for reading in readings), default=0)
    readings = [reading for reading in readings if reading.n_read == best]
    iso = [reading for reading in readings if reading.date_format is None]
    return iso or readings


def _column(
    connection: duckdb.DuckDBPyConnection,
    profile: ColumnProfile,
    profiles: Mapping[str, ColumnProfile],
    readings: list[DateReading],
    today: date,
) -> DateColumn:
    column = DateColumn(profile.name, readings[0], "", date_rank(profile.name))
    if readings[0].n_read < profile.n_given:
        ask = statement("value_without_day", day=_day(readings[0].date_format))
        column = replace(column, unread=connection.execute(ask).fetchall()[0][0])
    if len(readings) == 1:
        return column
    readings = [_with_order(connection, profile, reading) for reading in readings]
    by_month = _by_month_beside(connection, profile, profiles, readings)
    reading, why = by_month or choose(readings, today)
    return replace(column, reading=reading, why=why)


def _day(date_format: str | None) -> str:
    return DeliveredColumn("x", "VARCHAR").period(date_format)[0]


def _with_order(
    connection: duckdb.DuckDBPyConnection, profile: ColumnProfile, reading: DateReading
) -> DateReading:
    text = DeliveredColumn(f"delivered.{quoted(profile.name)}", profile.kind).text
    ask = statement("rows_backwards", day=_day(reading.date_format), text=text)
    return replace(reading, n_backwards=connection.execute(ask).fetchall()[0][0])


def _by_month_beside(
    connection: duckdb.DuckDBPyConnection,
    profile: ColumnProfile,
    profiles: Mapping[str, ColumnProfile],
    readings: Sequence[DateReading],
) -> tuple[DateReading, str] | None:
    """Tell day from month by a column of months beside the dates."""
    text = DeliveredColumn(f"delivered.{quoted(profile.name)}", profile.kind).text
    for other in profiles.values():
        if other.name == profile.name or calendar_part(other.name) != "month" or not other.is_number:
            continue
        agreeing = []
        for reading in readings:
            parts = {"day": _day(reading.date_format), "text": text, "part": quoted(other.name)}
            same, n = connection.execute(statement("parts_beside_days", **parts)).fetchall()[0]
            if n and same >= NEARLY_ALL * n:
                agreeing.append(reading)
        if len(agreeing) == 1:
            return agreeing[0], f"its month is that of column {other.name!r}"
    return None


def choose_column(columns: Sequence[DateColumn], profiles: Mapping[str, ColumnProfile]) -> DateColumn | str:
    """Choose the column of the day of the sale, by names, then the one with most days; or say what is open."""
    rank = max(column.rank for column in columns)
    best = [column for column in columns if column.rank == rank]
    if rank == 0:
        named = example(*(column.name for column in best))
        return (
            f"{named} are dates, but by the names not those of sales; name the column of the day of the sale"
        )
    if len(best) > 1:
        best = [c for c in best if c.reading is None or c.reading.step != "month"] or best
    if len(best) > 1:
        most = max(profiles[column.name].n_distinct for column in best)
        finest = [column for column in best if profiles[column.name].n_distinct == most]
        rest = [column for column in best if column not in finest]
        if all(ideas(column.name) & {"week", "month", "period"} for column in rest):
            best = finest[:1] if _alike(finest) else finest
    if len(best) > 1:
        return f"{example(*(column.name for column in best))} are dates; name the one of the sale"
    return best[0]


def _alike(columns: Sequence[DateColumn]) -> bool:
    """Whether all columns hold the same days."""
    days = [column.reading.days for column in columns if column.reading is not None]
    return len(days) == len(columns) and all(other == days[0] for other in days)


def step_of(name: str, reading: DateReading) -> Decision:
    """Say which periods the dates of a column are added up to."""
    first, last = reading.days[0], reading.days[-1]
    span = f"from {first} to {last}"
    if len(reading.days) >= 4 and all(gap > DAYS_OF_A_QUARTER for gap in reading.gaps):
        return Decision("period", "quarter", f"There is one date a quarter, {span}.")
    if reading.step == "month" or (reading.is_monthly and "month" in ideas(name)):
        return Decision("period", "month", f"There is one date a month, {span}.")
    if reading.step == "week":
        return Decision("period", "week", f"All dates are a {first:%A}, {span}.")
    return Decision("period", "week", f"Days {span} are added up to weeks, from Monday.")
