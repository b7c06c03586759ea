"""One column of a sales file, and how its values are understood: as SQL expressions, by macros of `reading_macros`."""

import re
from dataclasses import dataclass

import duckdb

from elasticity_assets.ingestion.month_names import MONTHS
from elasticity_assets.warehouse.sql import quoted, statement

EXCEL = "excel"
"""Date format of Excel's serial numbers."""


@dataclass(frozen=True)
class DeliveredColumn:
    """A column of a sales file.

    Attributes
    ----------
    place : str
        The column as SQL names it.
    kind : str
        Its DuckDB type.
    decimal : str
        Decimal mark of numbers that are text.
    thousands : str or None
        The only mark of thousands in them; None for any but the decimal mark.
    timezone : str
        Where the date of a time is meant that comes with a zone.
    flag : str or None
        Of a control that is a text's indicator: the text that counts as 1, any other as 0.
    """

    place: str
    kind: str
    decimal: str = "."
    thousands: str | None = None
    timezone: str = "UTC"
    flag: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return self.kind == "VARCHAR" or self.kind.startswith("ENUM")

    @property
    def is_date(self) -> bool:
        """Whether it holds dates."""
        return self.kind == "DATE" or self.kind.startswith("TIMESTAMP")

    @property
    def given(self) -> str:
        """Whether there is a value at all, readable or not."""
        if self.is_text:
            return f"(trimmed({self.place}) IS NOT NULL)"
        if self.kind in ("FLOAT", "DOUBLE"):
            return f"({self.place} IS NOT NULL AND NOT isnan({self.place}))"
        return f"({self.place} IS NOT NULL)"

    @property
    def text(self) -> str:
        """Values as trimmed text, blank as NULL; numbers with every digit."""
        if self.kind in ("FLOAT", "DOUBLE"):
            return f"text_of_fraction({self.place})"
        if self.kind.startswith("DECIMAL"):
            return f"text_of_decimal({self.place})"
        return f"trimmed({self.place})"

    @property
    def number(self) -> str:
        """Values as finite numbers."""
        if self.is_text:
            return f"number_of_text({self._as_written})"
        return f"finite(TRY_CAST({self.place} AS DOUBLE))"

    @property
    def currency_mark(self) -> str:
        """What beside its numbers names a currency, such as €, EUR or US$; NULL where nothing does."""
        if not self.is_text:
            return "CAST(NULL AS VARCHAR)"
        return f"currency_of_text(CAST({self.place} AS VARCHAR), {_literal(self.decimal)})"

    @property
    def number_or_flag(self) -> str:
        """Values as numbers below 1e15, yes and no as 1 and 0, and 24% as 0.24; or whether they are the flag's text."""
        if self.flag is not None:
            return f"is_text({self.text}, {_literal(self.flag)})"
        if self.is_text:
            return f"number_or_flag({self._as_written})"
        return f"summable(TRY_CAST({self.place} AS DOUBLE))"

    def share(self, unit: str) -> str:
        """Values as shares of 1: 24% always as 0.24, and 24 too where the unit is percent."""
        if self.is_text:
            return f"share_of_text({self._as_written}, {_literal(unit)})"
        return f"share({self.number}, {_literal(unit)})"

    def period(self, date_format: str | None) -> tuple[str, str]:
        """Values as dates as delivered and, where they may be such, as periods' labels or numbers."""
        no_label = "CAST(NULL AS VARCHAR)"
        zone = _literal(self.timezone)
        if self.kind == "TIMESTAMP WITH TIME ZONE":
            return f"sensible_day(timezone({zone}, {self.place}))", no_label
        if self.is_date:
            return f"sensible_day({self.place})", no_label
        if date_format == EXCEL:
            return f"excel_date({self.number})", no_label
        if date_format is not None:
            time = f"try_strptime({self.text}, {_literal(date_format)})"
            for field in {"%b", "%B"} & set(re.findall("%.", date_format)):
                time = f"coalesce({time}, try_strptime({_in_english(self.text, field)}, {_literal(date_format)}))"
            if "%z" in date_format.casefold():
                time = f"timezone({zone}, {time})"
            return f"sensible_day({time})", no_label
        return f"iso_date({self.text}, {zone})", self.text

    @property
    def _as_written(self) -> str:
        """Arguments of the macros that understand numbers."""
        text = self.place if self.kind == "VARCHAR" else f"CAST({self.place} AS VARCHAR)"
        thousands = "NULL" if self.thousands is None else _literal(self.thousands)
        return f"{text}, {_literal(self.decimal)}, {thousands}"


def _in_english(text: str, field: str) -> str:
    return f"with_english_month({text}, {_literal(field)})"


def _literal(text: str) -> str:
    return quoted(text, "'")


def create_reading_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros, for this connection alone."""
    cases = [
        f"WHEN regexp_full_match(name, {_literal(names)}) THEN {n}" for n, names in enumerate(MONTHS, start=1)
    ]
    connection.execute(statement("month_of_name", cases=" ".join(cases)))
    connection.execute(statement("reading_macros"))
