"""What the published file says of one product."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from elasticity_assets.inference.demand_curve import DemandCurve
from elasticity_assets.inference.judging.observed_controls import ObservedControl
from elasticity_assets.warehouse.sql import statement

MOST_FOUND = 20
"""Products that a search shows."""
MOST_PERIODS = 260
MOST_REFITS = 60
MOST_SUBSTITUTES = 10
MOST_ZONES = 100
_BEYOND = 0.1  # of the price: how far a curve goes beyond the prices ever charged
_POINTS = 60


@dataclass(frozen=True)
class Product:
    """One product, as its own page shows it.

    Attributes
    ----------
    row : mapping
        Of product_elasticity.
    recommendation : mapping, optional
        Of recommended_prices.
    test : mapping, optional
        Of recommended_tests.
    periods : DataFrame
        period_start, price and units of its last periods, ascending.
    refits : DataFrame
        refitted_at, elasticity, elasticity_q05 and elasticity_q95, ascending.
    substitutes : DataFrame
        product, product_description, price_latest and the columns of cross_elasticity; may be empty.
    zones : DataFrame
        zone, its prices with action, gain, prob_gain and reason, and its elasticity; empty where zones are not known.
    uniform : DataFrame
        Its row of uniform_pricing; may be empty.
    verdict : str, optional
        What causal_evidence says of its category.
    confounded : bool
        Whether it says that prices follow demand.
    strongest_control : ObservedControl
        Of its category; without a name where there is none.
    """

    row: Mapping[str, Any]
    recommendation: Mapping[str, Any] | None
    test: Mapping[str, Any] | None
    periods: pd.DataFrame
    refits: pd.DataFrame
    substitutes: pd.DataFrame
    zones: pd.DataFrame
    uniform: pd.DataFrame
    verdict: str | None
    confounded: bool
    strongest_control: ObservedControl


def search(connection: duckdb.DuckDBPyConnection, text: str) -> list[tuple[str, str, str | None]]:
    """Find category, code and description of products whose code or description contains a text, in any case."""
    found = connection.execute(statement("products_found"), {"text": text.strip(), "most": MOST_FOUND})
    return found.fetchall()


def read_product(
    connection: duckdb.DuckDBPyConnection, category: str, product: str, objective: str
) -> Product | None:
    """Read all that is known of one product; None where there is no such product.

    Parameters
    ----------
    connection : duckdb connection
        To the published file.
    category, product : str
    objective : str
        The settings' `pricing.objective`: what gains are counted in.
    """
    key = {"category": category, "product": product}

    def rows(name: str, **more: int | str) -> pd.DataFrame:
        return connection.execute(statement(name), key | more).df()

    row = _first(rows("one_product"))
    if row is None:
        return None
    return Product(
        row,
        _first(rows("one_recommendation")),
        _first(rows("one_test")),
        rows("last_periods", most=MOST_PERIODS),
        rows("last_refits", most=MOST_REFITS),
        rows("substitutes_of", most=MOST_SUBSTITUTES),
        rows("prices_in_zones", most=MOST_ZONES, objective=objective),
        rows("uniform_pricing_of_product"),
        *_evidence(connection, category),
    )


def curve_of(product: Product) -> DemandCurve | None:
    """Work out the demand curve through today's price and recent units, as price_scenario does; None without these.

    The points are the product's last periods as they were sold, other effects than the price's among them.
    """
    row, periods = product.row, product.periods.dropna()
    price, units = row["price_latest"], row["units_per_period"]
    if not (price and units and price > 0 and units > 0):
        return None
    ends = (row["price_min"] * (1 - _BEYOND), row["price_max"] * (1 + _BEYOND))
    grid = np.geomspace(min(ends[0], price), max(ends[1], price), _POINTS)
    middle, one, other = (
        units * (grid / price) ** row[name] for name in ("elasticity_q50", "elasticity_q05", "elasticity_q95")
    )
    return DemandCurve(
        str(row["product"]),
        grid,
        middle,
        np.minimum(one, other),
        np.maximum(one, other),
        periods["price"].to_numpy(np.float64),
        periods["units"].to_numpy(np.float64),
        np.zeros(len(periods), bool),
    )


def _first(rows: pd.DataFrame) -> dict[str, Any] | None:
    """Give the first row, None for what is missing in it; None without rows."""
    if rows.empty:
        return None
    return {str(name): None if pd.isna(value) else value for name, value in rows.iloc[0].items()}


def _evidence(
    connection: duckdb.DuckDBPyConnection, category: str
) -> tuple[str | None, bool, ObservedControl]:
    """Give what the causal evidence of the category says, whether that is bad, and its strongest control."""
    found = connection.execute(statement("causal_verdict"), {"category": category}).fetchone()
    if found is None:
        return None, False, ObservedControl()
    verdict, follow, *control = found
    return verdict, bool(follow), ObservedControl() if None in control else ObservedControl(*control)
