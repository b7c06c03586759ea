"""How the rows of one file are read: its columns, by the names in the settings, as SQL expressions."""

import re
from typing import Any

import duckdb

from elasticity_assets.ingestion.files import FileFormat
from elasticity_assets.settings import SalesSettings, SettingsError
from elasticity_assets.warehouse.sql import quoted, statement


def row_source(file: str, layout: FileFormat) -> tuple[dict[str, str], dict[str, Any]]:
    """Say where a file's rows come from: parts and parameters of a statement over {source}.

    {row} names one whole row, {line} its number in the file.
    """
    row = "delivered_row"
    while layout.find(row):  # a column of that name would hide the row
        row += "_"
    if layout.kind == "parquet":
        parts = {"source": statement("parquet_rows"), "line": f"{row}.file_row_number + 1", "row": row}
        return parts, {"path": file}
    # The header is line 1. Numbering keeps the file's order.
    parts = {"source": statement("csv_rows"), "line": "1 + row_number() OVER ()", "row": row}
    return parts, {
        "path": file,
        "columns": layout.columns,
        "delimiter": layout.delimiter,
        "encoding": layout.encoding,
        "compression": layout.compression,
    }


def column_parts(file: str, layout: FileFormat, sales: SalesSettings, row: str) -> dict[str, str]:
    """Express what `read_file.sql` reads by the file's own columns.

    Raises
    ------
    SettingsError
        If the file lacks a column that the settings name.
    """
    named = {f"columns.{key}": name for key, name in sales.columns.model_dump().items() if name is not None}
    named |= {f"controls.{name}": name for name in sales.controls}
    columns = {}
    for key, name in named.items():
        column = layout.find(name)
        if column is None:
            raise SettingsError(
                f"sales.{key}: {file} has no column {name!r}; it has {', '.join(layout.columns)}"
            )
        columns[key.removeprefix("columns.")] = (f"{row}.{quoted(column)}", layout.columns[column])

    def text(key: str, absent: str = "CAST(NULL AS VARCHAR)") -> str:
        return text_of(*columns[key]) if key in columns else absent

    def number(key: str) -> str:
        return _number(*columns[key], sales.decimal) if key in columns else "CAST(NULL AS DOUBLE)"

    units = number("units")
    if "price" in columns:
        price, price_given = number("price"), _given(*columns["price"])
    else:
        price = f"{number('revenue')} / nullif({units}, 0)"
        price_given = f"({_given(*columns['revenue'])} AND {units} IS DISTINCT FROM 0)"
    date, label = _period(*columns["period"], sales.date_format)
    controls = [
        f", {_number_or_flag(*columns[f'controls.{name}'], sales.decimal)} AS {quoted(name)}"
        for name in sales.controls
    ]
    return {
        "product": text("product"),
        "category": text("category", absent="'all'"),
        "store": text("store"),
        "date": date,
        "label": label,
        "period_given": _given(*columns["period"]),
        "units": units,
        "units_given": _given(*columns["units"]),
        "price": price,
        "price_given": price_given,
        "regular_price": number("regular_price"),
        "description": text("description"),
        "controls": "".join(controls),
    }


def control_parts(layout: FileFormat, sales: SalesSettings, row: str) -> dict[str, dict[str, str]]:
    """Express what `unreadable_control.sql` reads: the settings' controls, by name.

    `column_parts` has found that the file has them.
    """
    parts = {}
    for name in sales.controls:
        column = layout.find(name) or name
        kind, place = layout.columns[column], f"{row}.{quoted(column)}"
        parts[name] = {
            "given": _given(place, kind),
            "number": _number_or_flag(place, kind, sales.decimal),
            "text": text_of(place, kind),
        }
    return parts


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


def is_date(kind: str) -> bool:
    """Whether a column of this DuckDB type holds dates."""
    return kind == "DATE" or kind.startswith("TIMESTAMP")


def _is_text(kind: str) -> bool:
    return kind == "VARCHAR" or kind.startswith("ENUM")


def text_of(column: str, kind: str) -> str:
    """Express a column's values as trimmed text, blank as NULL."""
    if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        return f"text_of_fraction(CAST({column} AS DOUBLE))"
    return f"trimmed({column})"


def _number(column: str, kind: str, decimal: str) -> str:
    if _is_text(kind):
        return f"number_with_comma({column})" if decimal == "," else f"number_with_point({column})"
    return f"finite(TRY_CAST({column} AS DOUBLE))"


def _number_or_flag(column: str, kind: str, decimal: str) -> str:
    """Express a column's values as numbers, yes and no as 1 and 0."""
    number = _number(column, kind, decimal)
    return f"coalesce({number}, yes_or_no({column}))" if _is_text(kind) else number


def _given(column: str, kind: str) -> str:
    """Whether there is a value at all, readable or not."""
    if _is_text(kind):
        return f"(trimmed({column}) IS NOT NULL)"
    if kind in ("FLOAT", "DOUBLE"):
        return f"({column} IS NOT NULL AND NOT isnan({column}))"
    return f"({column} IS NOT NULL)"


def _period(column: str, kind: str, date_format: str | None) -> tuple[str, str]:
    """Expressions of the date as delivered and, where it may be one, of a period's label or number."""
    if is_date(kind):
        return f"sensible_day({column})", "CAST(NULL AS VARCHAR)"
    text = text_of(column, kind)
    if date_format is not None:
        literal = quoted(date_format, "'")
        return f"sensible_day(try_strptime({text}, {literal}))", "CAST(NULL AS VARCHAR)"
    return f"iso_date({text})", text
