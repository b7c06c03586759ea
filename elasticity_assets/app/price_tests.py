"""Recommended price tests, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pandas as pd

from elasticity_assets.app.recommendations import ROWS
from elasticity_assets.warehouse.sql import statement


@dataclass(frozen=True)
class TestFilters:
    """Which tests are looked at.

    Attributes
    ----------
    categories : sequence of str
        Empty for all.
    text : str
        What the product's code or description contains, in any case.
    """

    categories: Sequence[str] = ()
    text: str = ""

    def parameters(self) -> dict[str, object]:
        """Give the parameters of the query of the filtered tests."""
        return {"categories": list(self.categories), "text": self.text.strip()}


def count(connection: duckdb.DuckDBPyConnection, filters: TestFilters) -> int:
    """Count the tests of recommended_tests."""
    select = statement("tests_counted", found=statement("tests_found"))
    (found,) = connection.execute(select, filters.parameters()).fetchall()
    return int(found[0])


def page(
    connection: duckdb.DuckDBPyConnection, filters: TestFilters, number: int = 0, most: int = ROWS
) -> pd.DataFrame:
    """Read one page of tests, those to run first first, with the products' descriptions.

    Parameters
    ----------
    connection : duckdb connection
        To the published file.
    filters : TestFilters
    number : int
        Of the page, from 0.
    most : int
        Rows of a page.
    """
    select = statement("tests_page", found=statement("tests_found"))
    asked = filters.parameters() | {"most": most, "skipped": number * most}
    return connection.execute(select, asked).df()
