"""Checks of the panels: there is something to learn elasticities from."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg
import numpy as np

from elasticity_assets.checks.result import result_by_category
from elasticity_assets.inference.panel import MOSTLY, Panel
from elasticity_assets.ingestion.panels import CategoryPanels
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
    dg.AssetCheckSpec(
        "zones_leave_nothing_out",
        asset="model_input",
        description="Categories that are fitted by zone use all that the files give: regular prices, price tests.",
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
    left_out : str
        What the files give and a fit by zone does not use, in words; empty where there is nothing, or no zones.
    """

    n_products: int
    n_one_price: int
    n_obs: int
    unit: float
    whole: bool
    left_out: str = ""


def facts(panels: CategoryPanels) -> PanelFacts:
    """Count what the checks need."""
    panel = panels.panel
    spread = abs(panel.centred_log_price()).max(axis=1)[: panel.n_products]
    units = panel.units[panel.observed]
    whole = panel.unit == 1.0 and (len(units) == 0 or np.mean(units == np.round(units)) >= MOSTLY)
    one_price = int((spread < ONE_PRICE).sum())
    left_out = "" if panels.zoned is None else _left_out_by_zone(panel)
    return PanelFacts(panel.n_products, one_price, panel.n_obs, panel.unit, bool(whole), left_out)


def _left_out_by_zone(panel: Panel) -> str:
    """Say what a fit by zone leaves out of what this category's files give."""
    tests = panel.experiments()[:, 1].any() or panel.category_experiment[1] > 0
    given = {
        "results of price tests elsewhere": tests,
        "regular prices (promotion_elasticity has no rows)": panel.has_regular_price,
    }
    return "; ".join(what for what, here in given.items() if here)


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


def zones_leave_nothing_out(panels: Mapping[str, PanelFacts]) -> dg.AssetCheckResult:
    """Warn of what the files give and fits by zone do not use."""
    rows = {
        name: {"passed": not panel.left_out, "left out": panel.left_out} for name, panel in panels.items()
    }
    return result_by_category(
        "zones_leave_nothing_out",
        rows,
        "fitted by zone, without what the files give beside prices paid",
        "nothing is left out",
    )
