"""Checks of the panels: there is something to learn elasticities from."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg
import numpy as np

from elasticity_assets.checks.result import result_by_category
from elasticity_assets.inference.panel import MOSTLY, Panel
from elasticity_assets.published.flags import ONE_PRICE

MODEL_INPUT = [
    dg.AssetCheckSpec(
        "prices_vary",
        asset="model_input",
        description="In every category at least half of the products changed their price.",
    ),
    dg.AssetCheckSpec(
        "units_are_counts",
        asset="model_input",
        description="Units are whole numbers; fractional ones are counted in tenths, hundredths or thousandths.",
    ),
]


@dataclass(frozen=True)
class PanelFacts:
    """What the checks need of one panel.

    Attributes
    ----------
    n_products, n_one_price, n_obs : int
        Products; those with a single price; observed cells.
    unit : float
        What one count stands for.
    whole : bool
        Whether the files' units are whole numbers, but for one in a hundred.
    """

    n_products: int
    n_one_price: int
    n_obs: int
    unit: float
    whole: bool


def facts(panel: Panel) -> PanelFacts:
    """Count what the checks need."""
    spread = abs(panel.centred_log_price()).max(axis=1)[: panel.n_products]
    units = panel.units[panel.observed]
    whole = panel.unit == 1.0 and (len(units) == 0 or np.mean(units == np.round(units)) >= MOSTLY)
    one_price = int((spread < ONE_PRICE).sum())
    return PanelFacts(panel.n_products, one_price, panel.n_obs, panel.unit, bool(whole))


def prices_vary(panels: Mapping[str, PanelFacts]) -> dg.AssetCheckResult:
    """Warn of categories in which most products have one price: their elasticities are the prior's."""
    rows = {
        name: {
            "passed": 2 * panel.n_one_price <= panel.n_products,
            "products": panel.n_products,
            "with one price": panel.n_one_price,
        }
        for name, panel in panels.items()
    }
    return result_by_category("prices_vary", rows, "most products have one price", "prices vary in all")


def units_are_counts(panels: Mapping[str, PanelFacts]) -> dg.AssetCheckResult:
    """Warn of categories that sell fractions of a unit."""
    rows = {
        name: {"passed": panel.whole, "product-periods": panel.n_obs, "counted in": panel.unit}
        for name, panel in panels.items()
    }
    return result_by_category("units_are_counts", rows, "units are fractional", "units are whole")
