"""Recommended prices by filters, a page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pandas as pd

from elasticity_assets.pricing.changes import Z90
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.warehouse.tables import RECOMMENDED_PRICES

ROWS = 50
"""Products on one page."""
MOST_VALUES = 500
"""Values of an attribute that can be chosen."""
ACTIONS = ("raise", "lower", "keep")
ORDERS = {
    "largest gain": "gain DESC NULLS LAST",
    "surest gain": "prob_gain DESC NULLS LAST, gain DESC",
    "largest price change": "abs(price_change) DESC NULLS LAST",
    "product": "product",
}
"""What can be sorted by, and how."""


@dataclass(frozen=True)
class Filters:
    """Which recommendations are looked at.

    Attributes
    ----------
    categories : sequence of str
        Empty for all.
    attributes : mapping of str to sequence of str
        Chosen values by attribute; one without chosen values does not filter.
    text : str
        What the product's code or description contains, in any case.
    objective : str
        The settings' `pricing.objective`: what gains are counted in.
    """

    categories: Sequence[str] = ()
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    text: str = ""
    objective: str = "profit"

    def query(self) -> tuple[str, dict[str, Any]]:
        """Give the SQL text of the filtered recommendations, and its parameters."""
        further, values = [], {}
        for number, (attribute, chosen) in enumerate(self.attributes.items()):
            if chosen:
                name = f"attribute_{number}"
                further.append(statement("having_attribute", values=f"${name}", attribute=quoted(attribute)))
                values[name] = list(chosen)
        parameters: dict[str, Any] = {"categories": list(self.categories), "objective": self.objective}
        parameters |= values
        if self.text.strip():
            further.append(statement("having_text"))
            parameters["text"] = self.text.strip()
        return statement("recommendations_by_filters", further="\n".join(further)), parameters


@dataclass(frozen=True)
class Total:
    """What price changes bring together a period.

    Attributes
    ----------
    products : int
        That change.
    gain_of : str
        What the gain is counted in: profit where all of them have costs, else revenue; or units.
    expected, low, high : float
        The gain, and the ends of its 90% interval.
    """

    products: int = 0
    gain_of: str = "revenue"
    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0


def totals(connection: duckdb.DuckDBPyConnection, filters: Filters) -> tuple[dict[str, int], Total]:
    """Count the recommendations by action, and add up what the changes among them bring."""
    query, parameters = filters.query()
    select = statement("recommendation_counts", recommendations=query)
    found = {action: values for action, *values in connection.execute(select, parameters).fetchall()}
    counts = {action: found[action][0] if action in found else 0 for action in ACTIONS}
    changed = [values for action, values in found.items() if action != "keep"]
    if not changed:
        return counts, Total()
    in_units, in_profit = any(values[2] for values in changed), all(values[1] for values in changed)
    of = "units" if in_units else "profit" if in_profit else "revenue"
    select = statement(
        "recommendation_sum",
        recommendations=query,
        of=of,
        shared_sd=statement("shared_sd", elasticity_sd="e.elasticity_sd"),
    )
    expected, sd = connection.execute(select, parameters | {"z90": Z90}).fetchall()[0]
    products = sum(values[0] for values in changed)
    return counts, Total(products, of, expected, expected - Z90 * sd, expected + Z90 * sd)


def page(
    connection: duckdb.DuckDBPyConnection,
    filters: Filters,
    actions: Sequence[str],
    order: str,
    number: int = 0,
    most: int = ROWS,
) -> pd.DataFrame:
    """Read one page of recommendations, with the products' descriptions and flags.

    Parameters
    ----------
    connection : duckdb connection
    filters : Filters
    actions : sequence of str
        Of ACTIONS.
    order : str
        Key of ORDERS.
    number : int
        Of the page, from 0.
    most : int
        Rows of a page.
    """
    query, parameters = filters.query()
    select = statement("recommendation_page", recommendations=query, order=ORDERS[order])
    parameters |= {"actions": list(actions), "most": most, "skipped": number * most}
    return connection.execute(select, parameters).df()


def keys(
    connection: duckdb.DuckDBPyConnection, filters: Filters, actions: Sequence[str], most: int
) -> list[tuple[str, str, float]]:
    """Name category, product and recommended price of at most so many, those that gain most first."""
    query, parameters = filters.query()
    select = statement("recommendation_keys", recommendations=query)
    return connection.execute(select, parameters | {"actions": list(actions), "most": most}).fetchall()


def attributes(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Give the most frequent values of each attribute that the settings carry through."""
    columns = [column.name for column in RECOMMENDED_PRICES.columns]
    names = connection.execute(statement("attributes_of_products"), {"columns": columns}).fetchall()
    return {
        name: [
            value
            for (value,) in connection.execute(
                statement("values_of_attribute", attribute=quoted(name)), {"most": MOST_VALUES}
            ).fetchall()
        ]
        for (name,) in names
    }


def categories(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Name all categories, sorted."""
    return [name for (name,) in connection.execute(statement("all_categories")).fetchall()]


def refit_shown(connection: duckdb.DuckDBPyConnection) -> tuple[str, Any, int]:
    """Give the refit's id, when it began (UTC), and its number of products."""
    found = connection.execute(statement("refit_shown")).fetchone()
    assert found, "a published file has a refit"  # noqa: S101
    return found
