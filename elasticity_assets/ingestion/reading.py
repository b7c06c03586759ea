"""How the rows of one file are read: its columns, by the names in the settings, as SQL expressions."""

import re
from collections.abc import Iterable
from typing import Any

import duckdb

from elasticity_assets.ingestion.delivered_column import EXCEL, DeliveredColumn
from elasticity_assets.ingestion.files import escaped
from elasticity_assets.ingestion.header import listed
from elasticity_assets.ingestion.layout import FileFormat
from elasticity_assets.settings import SalesSettings, SettingsError
from elasticity_assets.warehouse.sql import quoted, statement

Source = dict[str, str]
"""Where a file's rows come from, as parts of a statement: {source}, {row} for one whole row, {line} for its number."""


def row_source(layout: FileFormat) -> tuple[Source, dict[str, Any]]:
    """Say where a file's rows come from, and the parameters of that."""
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


def delivered_columns(
    file: str, layout: FileFormat, sales: SalesSettings, row: str
) -> dict[str, DeliveredColumn]:
    """Find the columns that the settings name: by their key in `sales.columns`, and others as `controls.NAME`.

    Raises
    ------
    SettingsError
        If the file lacks one.
    """
    named = {f"columns.{key}": name for key, name in sales.columns.model_dump().items() if name is not None}
    named |= {f"{key}.{name}": name for key, names in sales.numbers.items() for name in names}
    named |= {f"attributes.{name}": name for name in sales.attributes}
    columns = {}
    for key, name in named.items():
        try:
            column, flag = layout.find(name), None
            if column is None and key.startswith(tuple(sales.numbers)):  # such as `Promo Type=Coupon`
                of_column, equals, text = name.partition("=")
                column, flag = layout.find(of_column), text.strip() if equals else None
        except ValueError as error:
            raise SettingsError(f"sales.{key}: {file} {error}") from None
        if column is None:
            raise SettingsError(
                f"sales.{key}: {file} has no column {name!r}; it has {listed(list(layout.columns))}"
            )
        columns[key.removeprefix("columns.")] = DeliveredColumn(
            f"{row}.{quoted(column)}",
            layout.columns[column],
            sales.decimal,
            sales.thousands,
            sales.timezone,
            flag,
        )
    return columns


def column_parts(
    columns: dict[str, DeliveredColumn], sales: SalesSettings, discount_unit: str = "percent"
) -> dict[str, str]:
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
    regular_price = number("regular_price")
    discount = "0.0"
    if "discount" in columns:
        off = columns["discount"]
        discount = f"CASE WHEN {off.given} THEN {off.share(discount_unit)} ELSE 0.0 END"
        if "regular_price" not in columns:
            regular_price = price
    date, label = columns["period"].period(sales.date_format)
    period_given = columns["period"].given
    if "year" in columns:
        date = "CAST(NULL AS DATE)"
        label = f"label_of_year({columns['year'].text}, {columns['period'].text})"
        period_given = f"({period_given} AND {columns['year'].given})"
    controls = [
        f", {columns[f'controls.{name}'].number_or_flag} AS {quoted(name)}" for name in sales.controls
    ]
    attributes = ", ".join(text(f"attributes.{name}") for name in sales.attributes)
    covariates = ", ".join(
        columns[f"zones.covariates.{name}"].number_or_flag for name in sales.zones.covariates
    )
    return {
        "product": text("product"),
        "category": text("category", absent="'all'"),
        "store": text("store"),
        "zone": text("zone"),
        "zone_wanted": "true" if "zone" in columns else "false",
        "date": date,
        "label": label,
        "period_given": period_given,
        "names_total": f"names_total({columns['period'].text})",
        "units": units,
        "units_given": columns["units"].given,
        "price": price,
        "price_given": price_given,
        "currency_mark": columns["price" if "price" in columns else "revenue"].currency_mark,
        "discount": discount,
        "regular_price": regular_price,
        "cost": number("cost"),
        "randomized": columns["randomized"].number_or_flag
        if "randomized" in columns
        else "CAST(NULL AS DOUBLE)",
        "randomized_given": columns["randomized"].given if "randomized" in columns else "false",
        "description": text("description"),
        "substitutes": text("substitutes"),
        "attributes": f"[{attributes}]" if attributes else "CAST(NULL AS VARCHAR[])",
        "zone_covariates": f"[{covariates}]" if covariates else "CAST(NULL AS DOUBLE[])",
        "controls": "".join(controls),
    }


def discount_unit(
    connection: duckdb.DuckDBPyConnection,
    file: str,
    source: dict[str, str],
    of_source: dict[str, Any],
    columns: dict[str, DeliveredColumn],
    sales: SalesSettings,
) -> str:
    """Return the unit of the file's discounts: the settings' own, or the only one that its values can have.

    A discount above 1 cannot be a fraction, and hardly any is below 1%: so all of a file's are told by its largest.

    Raises
    ------
    SettingsError
        If the file's discounts are all 0 or 1, and the settings do not say which unit they have.
    """
    if sales.discount_unit is not None or "discount" not in columns:
        return sales.discount_unit or "fraction"
    ask = statement("discounts", **source, discount=columns["discount"].number)
    largest, n_between = connection.execute(ask, of_source).fetchall()[0]
    if largest is not None and largest > 1:
        return "percent"
    if largest == 1 and not n_between:
        raise SettingsError(
            f"sales.discount_unit: {file}: {sales.columns.discount!r} holds only 0 and 1; set it to percent if 1 is "
            "1% off, or to fraction if 1 is all"
        )
    return "fraction"


def readability(columns: Iterable[DeliveredColumn]) -> str:
    """Express how many values of each column of numbers or flags are given and how many of them cannot be read."""
    return ", ".join(
        f"readability({column.given}, {column.number_or_flag}, {column.text})" for column in columns
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
    if date_format == EXCEL:
        return
    try:
        connection.execute(statement("try_date_format"), [date_format])
    except duckdb.Error as error:
        problem = re.sub(r"\s+", " ", str(error))
        raise SettingsError(f"sales.date_format: {date_format!r} cannot be used: {problem}") from None
