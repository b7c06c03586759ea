"""Recommended prices by filters, a page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pandas as pd

from elasticity_assets.pricing.changes import Z90
from elasticity_assets.published.price_scenarios import select_lasting_slopes
from elasticity_assets.report.answer import KEPT
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.warehouse.tables import RECOMMENDED_PRICES

ROWS = 50
"""Products on one page."""
MOST_VALUES = 500
"""Values of an attribute, and zones, that can be chosen."""
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
    zone : str, optional
        Whose prices; None for the changes that hold in all zones.
    """

    categories: Sequence[str] = ()
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    text: str = ""
    objective: str = "profit"
    zone: str | None = None

    def query(self) -> tuple[str, dict[str, Any]]:
        """Give the SQL text of the filtered recommendations, and its parameters."""
        further, values = [], {}
        for number, (attribute, chosen) in enumerate(self.attributes.items()):
            if chosen:
                name = f"attribute_{number}"
                further.append(statement("having_attribute", values=f"${name}", attribute=quoted(attribute)))
                values[name] = list(chosen)
        parameters: dict[str, Any] = {
            "categories": list(self.categories),
            "objective": self.objective,
            "zone": self.zone,
        }
        parameters |= values
        if self.text.strip():
            further.append(statement("having_text"))
            parameters["text"] = self.text.strip()
        columns = ", ".join(quoted(column.name) for column in RECOMMENDED_PRICES.columns)
        return statement(
            "recommendations_by_filters", columns=columns, further="\n".join(further)
        ), parameters


@dataclass(frozen=True)
class Total:
    """What price changes bring together a period, over the products whose gains are counted alike.

    Attributes
    ----------
    products : int
        These products, kept ones among them: theirs are substitutes' and the price index's effects.
    gain_of : str
        What the gain is counted in: profit of products with a cost, revenue of the others; or units.
    expected, low, high : float
        The gain, and the ends of its 90% interval.
    """

    products: int
    gain_of: str
    expected: float
    low: float
    high: float


def totals(connection: duckdb.DuckDBPyConnection, filters: Filters) -> tuple[dict[str, int], list[Total]]:
    """Count the recommendations by action, and add up what the changes bring, profit first; empty without a change."""
    query, parameters = filters.query()
    select = statement("recommendation_counts", recommendations=query)
    found = dict(connection.execute(select, parameters).fetchall())
    counts = {action: found.get(action, 0) for action in ACTIONS}
    if counts["raise"] + counts["lower"] == 0:
        return counts, []
    select = statement(
        "recommendation_sums",
        recommendations=query,
        lasting=select_lasting_slopes(),
        shared_sd=statement("shared_sd", elasticity_sd="t.elasticity_sd"),
    )
    sums = connection.execute(select, parameters | {"z90": Z90}).fetchall()
    return counts, [
        Total(products, of, expected, expected - Z90 * sd, expected + Z90 * sd)
        for of, products, expected, sd in sums
        if expected is not None and (expected or sd)  # kept products on which nothing has an effect
    ]


def why_kept(connection: duckdb.DuckDBPyConnection, filters: Filters) -> str:
    """Say why most prices stay; empty where the filters show none."""
    query, parameters = filters.query()
    select = statement("most_frequent_rule", recommendations=query)
    found = connection.execute(select, parameters).fetchone()
    return KEPT.get(found[0], found[0]) if found else ""


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
) -> list[tuple[str, str, str | None, float]]:
    """Name category, product, zone and recommended price of at most so many, those that gain most first."""
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


def zones(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Name the zones that have prices of their own, sorted."""
    return [name for (name,) in connection.execute(statement("all_zones"), {"most": MOST_VALUES}).fetchall()]


def refit_shown(connection: duckdb.DuckDBPyConnection) -> tuple[str, Any, int]:
    """Give the refit's id, when it began (UTC), and its number of products."""
    found = connection.execute(statement("refit_shown")).fetchone()
    assert found, "a published file has a refit"  # noqa: S101
    return found
