"""Results of price tests elsewhere, read from the file that `experiments` names: category, product, elasticity, sd."""

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from elasticity_assets.inference.experiments import Experiment
from elasticity_assets.ingestion.files import check_roots
from elasticity_assets.ingestion.header import listed
from elasticity_assets.settings import SalesSettings, SettingsError
from elasticity_assets.warehouse.sql import statement

COLUMNS = ("category", "product", "elasticity", "sd")
_LARGEST = 100.0
"""Size of an elasticity, or of its sd, beyond which it is a mistake."""
_SMALLEST_SD = 0.001


def read_experiments(
    connection: duckdb.DuckDBPyConnection, file: Path, sales: SalesSettings
) -> dict[str, list[Experiment]]:
    """Read the results of each category that has any.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the warehouse, with the sales' categories and products.
    file : Path
        CSV with a header; commas, semicolons or tabs.
    sales : SalesSettings

    Raises
    ------
    SettingsError
        In one line: what is wrong in which line and column, an example, and what to do.
    """
    check_roots([str(file)], sales.roots, "experiments")
    found = list(_rows(file))
    categories = [name for (name,) in connection.execute(statement("categories_of_products")).fetchall()]
    products = sorted({row["product"] for _, row in found if row["product"]})
    category_of = dict(connection.execute(statement("category_of_products"), [products]).fetchall())
    results: dict[str, list[Experiment]] = {}
    for line, row in found:
        where, category, product = f"experiments: {file}, line {line}", row["category"], row["product"]
        if category not in categories:
            raise SettingsError(
                f"{where}: category {category!r} has no sales; write it as in category_elasticity, such as "
                f"{listed(categories[:3])}, or remove the line"
            )
        if product and category_of.get(product) != category:
            other = f"is in category {category_of[product]!r}" if product in category_of else "has no sales"
            raise SettingsError(
                f"{where}: product {product!r} {other}; write product and category as in product_elasticity, leave the "
                "product empty for the category's elasticity, or remove the line"
            )
        elasticity = _number(row, "elasticity", where, -_LARGEST, "-1.8")
        sd = _number(row, "sd", where, _SMALLEST_SD, "0.3")
        results.setdefault(category, []).append(Experiment(product, elasticity, sd))
    return results


def tested_products(
    connection: duckdb.DuckDBPyConnection, file: Path | None, sales: SalesSettings
) -> set[str]:
    """Give the products that the file, if there is one, has results of; parameters as of `read_experiments`."""
    found = {} if file is None else read_experiments(connection, file, sales)
    return {result.product for results in found.values() for result in results if result.product}


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Read the lines that are not blank, with their numbers, by column."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(
            f"experiments: {file} cannot be read: {why}; name a CSV file with the columns {', '.join(COLUMNS)}"
        ) from None
    head = text.partition("\n")[0]
    lines = csv.reader(text.splitlines(keepends=True), delimiter=max(",;\t", key=head.count))
    names = [name.strip().casefold() for name in next(lines, [])]
    for name in COLUMNS:
        if names.count(name) != 1:
            raise SettingsError(
                f"experiments: {file}, line 1: {'no' if name not in names else 'more than one'} column {name!r}; write "
                f"the header {','.join(COLUMNS)} and lines such as soup,,-1.8,0.3"
            )
    for values in lines:
        if any(value.strip() for value in values):
            row = dict(zip(names, map(str.strip, values), strict=False))
            yield lines.line_num, {name: row.get(name, "") for name in COLUMNS}


def _number(row: Mapping[str, str], name: str, where: str, smallest: float, example: str) -> float:
    """Understand a number; a comma is a decimal mark where columns are set apart otherwise."""
    try:
        number = float(row[name].replace(",", ".").replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        number = math.nan
    if not smallest <= number <= _LARGEST:
        raise SettingsError(
            f"{where}: {name} {row[name]!r} is no number from {smallest:g} to {_LARGEST:g}; write one such as {example}"
        )
    return number
