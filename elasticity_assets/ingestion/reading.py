"""How the rows of one file are read: its columns, by the names in the settings, as SQL expressions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from elasticity_assets.ingestion.files import escaped
from elasticity_assets.ingestion.layout import FileFormat
from elasticity_assets.settings import SalesSettings, SettingsError
from elasticity_assets.warehouse.sql import quoted, statement


def row_source(layout: FileFormat) -> tuple[dict[str, str], dict[str, Any]]:
    """Say where a file's rows come from: parts and parameters of a statement over {source}.

    {row} names one whole row, {line} its number in the file.
    """
    row = "delivered_row"
    while row in map(str.casefold, layout.columns):  # a column of that name would hide the row
        row += "_"
    path = escaped(layout.path)
    if layout.kind == "parquet":
        line = f"{row}.file_row_number + {layout.header_line + 1}"
        return {"source": statement("parquet_rows"), "line": line, "row": row}, {"path": path}
    # Numbering keeps the file's order.
    line = f"{layout.header_line} + row_number() OVER ()"
    return {"source": statement("csv_rows"), "line": line, "row": row}, {
        "path": path,
        "skip": layout.header_line - 1,
        "columns": layout.columns,
        "delimiter": layout.delimiter,
        "encoding": layout.encoding,
        "compression": layout.compression,
    }


@dataclass(frozen=True)
class DeliveredColumn:
    """A column of a sales file, and how its values are understood: SQL expressions, by macros of `reading.sql`.

    Attributes
    ----------
    place : str
        The column as SQL names it.
    kind : str
        Its DuckDB type.
    decimal : str
        Decimal sign of numbers that are text.
    """

    place: str
    kind: str
    decimal: str = "."

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
        """Values as trimmed text, blank as NULL."""
        if self.kind in ("FLOAT", "DOUBLE") or self.kind.startswith("DECIMAL"):
            return f"text_of_fraction(CAST({self.place} AS DOUBLE))"
        return f"trimmed({self.place})"

    @property
    def number(self) -> str:
        """Values as finite numbers."""
        if self.is_text:
            macro = "number_with_comma" if self.decimal == "," else "number_with_point"
            return f"{macro}({self.place})"
        return f"finite(TRY_CAST({self.place} AS DOUBLE))"

    @property
    def number_or_flag(self) -> str:
        """Values as numbers, yes and no as 1 and 0."""
        return f"coalesce({self.number}, yes_or_no({self.place}))" if self.is_text else self.number

    def period(self, date_format: str | None) -> tuple[str, str]:
        """Values as dates as delivered and, where they may be such, as periods' labels or numbers."""
        if self.is_date:
            return f"sensible_day({self.place})", "CAST(NULL AS VARCHAR)"
        if date_format is not None:
            literal = quoted(date_format, "'")
            return f"sensible_day(try_strptime({self.text}, {literal}))", "CAST(NULL AS VARCHAR)"
        return f"iso_date({self.text})", self.text


def delivered_columns(
    file: str, layout: FileFormat, sales: SalesSettings, row: str
) -> dict[str, DeliveredColumn]:
    """Find the columns that the settings name: by their key in `sales.columns`, and controls as `controls.NAME`.

    Raises
    ------
    SettingsError
        If the file lacks one.
    """
    named = {f"columns.{key}": name for key, name in sales.columns.model_dump().items() if name is not None}
    named |= {f"controls.{name}": name for name in sales.controls}
    columns = {}
    for key, name in named.items():
        try:
            column = layout.find(name)
        except ValueError as error:
            raise SettingsError(f"sales.{key}: {file} {error}") from None
        if column is None:
            raise SettingsError(
                f"sales.{key}: {file} has no column {name!r}; it has {', '.join(layout.columns)}"
            )
        place = f"{row}.{quoted(column)}"
        columns[key.removeprefix("columns.")] = DeliveredColumn(place, layout.columns[column], sales.decimal)
    return columns


def column_parts(columns: dict[str, DeliveredColumn], sales: SalesSettings) -> dict[str, str]:
    """Express what the statement `read_file` reads by the file's own columns."""

    def text(key: str, absent: str = "CAST(NULL AS VARCHAR)") -> str:
        return columns[key].text if key in columns else absent

    def number(key: str) -> str:
        return columns[key].number if key in columns else "CAST(NULL AS DOUBLE)"

    units = number("units")
    if "price" in columns:
        price, price_given = number("price"), columns["price"].given
    else:
        price = f"{number('revenue')} / nullif({units}, 0)"
        price_given = f"({columns['revenue'].given} AND {units} IS DISTINCT FROM 0)"
    date, label = columns["period"].period(sales.date_format)
    controls = [
        f", {columns[f'controls.{name}'].number_or_flag} AS {quoted(name)}" for name in sales.controls
    ]
    return {
        "product": text("product"),
        "category": text("category", absent="'all'"),
        "store": text("store"),
        "date": date,
        "label": label,
        "period_given": columns["period"].given,
        "units": units,
        "units_given": columns["units"].given,
        "price": price,
        "price_given": price_given,
        "regular_price": number("regular_price"),
        "description": text("description"),
        "controls": "".join(controls),
    }


def readability(columns: dict[str, DeliveredColumn], controls: Sequence[str]) -> str:
    """Express how many values of each control are given and how many of them cannot be read."""
    of_controls = [columns[f"controls.{name}"] for name in controls]
    return ", ".join(
        f"readability({control.given}, {control.number_or_flag}, {control.text})" for control in of_controls
    )


def not_products_pattern(connection: duckdb.DuckDBPyConnection, patterns: list[str]) -> str | None:
    """Join the patterns into one that matches a whole product code, without regard to case.

    Raises
    ------
    SettingsError
        If DuckDB does not know a pattern's syntax (RE2's: no look-ahead, no back-references).
    """
    for pattern in patterns:
        try:
            connection.execute(statement("try_pattern"), [pattern])
        except duckdb.Error as error:
            problem = re.sub(r"\s+", " ", str(error))
            raise SettingsError(f"sales.not_products: {pattern!r} cannot be used: {problem}") from None
    return "|".join(f"(?:{pattern})" for pattern in patterns) or None


def check_date_format(connection: duckdb.DuckDBPyConnection, date_format: str | None) -> None:
    """Refuse a date format that DuckDB does not know.

    Raises
    ------
    SettingsError
    """
    try:
        connection.execute(statement("try_date_format"), [date_format])
    except duckdb.Error as error:
        problem = re.sub(r"\s+", " ", str(error))
        raise SettingsError(f"sales.date_format: {date_format!r} cannot be used: {problem}") from None
