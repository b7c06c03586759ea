"""Results of price tests elsewhere, read from the file that `experiments` names: category, product, elasticity, sd."""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from elasticity_assets.inference.experiments import Experiment
from elasticity_assets.inference.judging.limits import VAGUE_SD
from elasticity_assets.ingestion.files import check_roots
from elasticity_assets.ingestion.header import listed
from elasticity_assets.settings import SalesSettings, SettingsError
from elasticity_assets.warehouse.sql import statement

COLUMNS = ("category", "product", "elasticity", "sd")
_LARGEST = 100.0
"""Size of an elasticity, or of its sd, beyond which it is a mistake."""
_SMALLEST_SD = 0.001
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_EXAMPLE = "soup,,-1.8,0.3"


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


def products_tested(
    connection: duckdb.DuckDBPyConnection, file: Path | None, sales: SalesSettings
) -> set[str]:
    """Give the products of which the file, if there is one, has a result that tells enough; parameters as above."""
    found = {} if file is None else read_experiments(connection, file, sales)
    return {
        result.product
        for results in found.values()
        for result in results
        if result.product and result.sd <= VAGUE_SD
    }


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Read the lines that are not blank, with their numbers, by column."""
    where = f"experiments: {file}"
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(
            f"{where} cannot be read: {why}; name a CSV file with the columns {', '.join(COLUMNS)}"
        ) from None
    head = text.partition("\n")[0]
    lines = csv.reader(text.splitlines(keepends=True), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        numbered = [(lines.line_num, values) for values in lines]
    except csv.Error as error:
        raise SettingsError(
            f"{where}, line {lines.line_num}: {error}; write a line such as {_EXAMPLE}, quotes in pairs"
        ) from None
    names = [name.strip().casefold() for name in numbered[0][1]] if numbered else []
    for name in COLUMNS:
        if names.count(name) != 1:
            raise SettingsError(
                f"{where}, line 1: {'no' if name not in names else 'more than one'} column {name!r}; write "
                f"the header {','.join(COLUMNS)} and lines such as {_EXAMPLE}"
            )
    for line, values in numbered[1:]:
        if any(value.strip() for value in values):
            if len(values) > len(names):
                raise SettingsError(
                    f"{where}, line {line}: {len(values)} fields under a header of {len(names)}, the last "
                    f"{values[-1]!r}; write a line such as {_EXAMPLE}: with decimal commas, columns are set apart by ;"
                )
            row = dict(zip(names, map(str.strip, values), strict=False))
            yield line, {name: row.get(name, "") for name in COLUMNS}


def _number(row: Mapping[str, str], name: str, where: str, smallest: float, example: str) -> float:
    """Understand a number; a comma is a decimal mark where columns are set apart otherwise."""
    text = row[name].replace("\N{MINUS SIGN}", "-")
    number = float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else math.nan
    if not smallest <= number <= _LARGEST:
        raise SettingsError(
            f"{where}: {name} {row[name]!r} is no number from {smallest:g} to {_LARGEST:g}; write one such as {example}"
        )
    return number
