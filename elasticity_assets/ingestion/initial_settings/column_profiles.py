"""What the values of each column look like, over all rows."""

from dataclasses import dataclass

import duckdb

from elasticity_assets.ingestion.delivered_column import DeliveredColumn
from elasticity_assets.warehouse.sql import quoted, statement

NEARLY_ALL = 0.98
"""Share of a column's values that must be what it is taken for; totals and typing errors are the rest."""


@dataclass(frozen=True)
class Numbers:
    """A column's values read as numbers.

    Attributes
    ----------
    smallest, largest, middle : float or None
        `middle` is the median of the distinct values.
    n_fractions, n_negative, n_zero : int
        Rows.
    unreadable : str or None
        A value that is no number.
    """

    smallest: float | None
    largest: float | None
    middle: float | None
    n_fractions: int
    n_negative: int
    n_zero: int
    unreadable: str | None


@dataclass(frozen=True)
class ColumnProfile:
    """One column: counts of rows by what their value looks like.

    Attributes
    ----------
    name, kind : str
        Its name and DuckDB type.
    n_given : int
        Rows with a value.
    n_distinct : int
    n_point, n_comma : int
        Numbers, where the decimal mark is a point, a comma.
    n_comma_and_three, n_point_and_three : int
        Such as 1,003 or 1.003, which may be thousands or decimals.
    n_sure_point, n_sure_comma : int
        Numbers whose own form tells the decimal mark.
    n_unmarked_small, n_unmarked_large : int
        Whole numbers without any mark, below 1,000 and from there.
    largest_unmarked : float or None
        Of those below 1,000.
    n_leading_zero, n_letters, n_digits, n_percent, n_flag : int
        Codes such as 00123; values with a letter, a digit, a percent sign; yes and no, 1 and 0.
    frequent, some : list of str
        The most frequent values, and some drawn by chance.
    marked : str or None
        One value such as 1,003.
    with_point, with_comma : Numbers
    """

    name: str
    kind: str
    n_given: int
    n_distinct: int
    n_point: int
    n_comma: int
    n_comma_and_three: int
    n_point_and_three: int
    n_sure_point: int
    n_sure_comma: int
    n_unmarked_small: int
    n_unmarked_large: int
    largest_unmarked: float | None
    n_leading_zero: int
    n_letters: int
    n_digits: int
    n_percent: int
    n_flag: int
    frequent: list[str]
    some: list[str]
    marked: str | None
    with_point: Numbers
    with_comma: Numbers

    def nearly_all(self, count: int) -> bool:
        """Whether so many rows are nearly all that have a value."""
        return self.n_given > 0 and count >= NEARLY_ALL * self.n_given

    @property
    def is_date_type(self) -> bool:
        """Whether the file itself says that these are dates."""
        return DeliveredColumn("", self.kind).is_date

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, whatever their decimal mark."""
        return not self.is_date_type and self.nearly_all(max(self.n_point, self.n_comma))

    @property
    def is_flag(self) -> bool:
        """Whether its values are yes and no, or 1 and 0, and both."""
        return self.nearly_all(self.n_flag) and self.n_distinct >= 2

    def lies_between(self, low: float, high: float) -> bool:
        """Whether its values are whole numbers between two."""
        numbers = self.with_point
        return (
            self.is_number
            and numbers.n_fractions == 0
            and numbers.smallest is not None
            and numbers.largest is not None
            and low <= numbers.smallest <= numbers.largest <= high
        )

    def numbers(self, decimal: str) -> Numbers:
        """Return its numbers, read with that decimal mark."""
        return self.with_comma if decimal == "," else self.with_point


def amount(place: str, kind: str, decimal: str) -> str:
    """Read a column's numbers as SQL, 24% as 24."""
    column = DeliveredColumn(place, kind, decimal)
    if column.is_text:
        column = DeliveredColumn(f"replace({place}, '%', '')", "VARCHAR", decimal)
    return "CAST(NULL AS DOUBLE)" if column.is_date else column.number


def profile_columns(connection: duckdb.DuckDBPyConnection, kinds: dict[str, str]) -> dict[str, ColumnProfile]:
    """Profile every column of the table `delivered`; `kinds` has their DuckDB types."""
    return {name: _profile(connection, name, kind) for name, kind in kinds.items()}


def count_values(connection: duckdb.DuckDBPyConnection, name: str, kind: str) -> None:
    """Put the distinct values of a column, as text, into the table `column_values`."""
    column = DeliveredColumn(f"delivered.{quoted(name)}", kind)
    text = f"CAST({column.place} AS VARCHAR)" if column.is_date else column.text
    connection.execute(statement("count_column_values", text=text))


def _profile(connection: duckdb.DuckDBPyConnection, name: str, kind: str) -> ColumnProfile:
    count_values(connection, name, kind)
    marks = {"point": ".", "comma": ","}
    has_marks = connection.execute(statement("some_numbers_have_marks")).fetchall()[0][0]
    if DeliveredColumn("", kind).is_text and has_marks:
        parts = {name: amount("x", "VARCHAR", mark) for name, mark in marks.items()}
    else:  # the same with either mark, and read faster
        parts = dict.fromkeys(marks, "TRY_CAST(x AS DOUBLE)")
    connection.execute(statement("read_column_numbers", **parts))
    rows = connection.execute(statement("profile_column"))
    counts = dict(zip((column[0] for column in rows.description), rows.fetchall()[0], strict=True))
    point, comma = (
        Numbers(*connection.execute(statement("profile_numbers", number=mark)).fetchall()[0])
        for mark in ("point", "comma")
    )
    return ColumnProfile(name=name, kind=kind, **counts, with_point=point, with_comma=comma)
