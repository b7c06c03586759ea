"""What products take from their substitutes counts in recommended prices, from sales files to the published file."""

from pathlib import Path

import pandas as pd
import pytest

from elasticity_assets.inference.departures import simulate_departure
from elasticity_assets.inference.simulate import Simulation
from elasticity_assets_tests.support.projects import Project, make_project, settings_dict

pytestmark = pytest.mark.slow


def refitted(folder: Path, sales: pd.DataFrame, *, grouped: bool) -> Project:
    sales_settings = settings_dict()["sales"]
    del sales_settings["columns"]["regular_price"]
    if grouped:
        sales_settings["columns"]["substitutes"] = "substitutes"
    settings = {"sales": sales_settings, "pricing": {"objective": "revenue", "confidence": 0.5}}
    project = make_project(folder, sales, settings)
    assert project.ingest().success
    assert project.refit().success
    return project


def test_no_price_is_lowered_to_take_sales_from_substitutes(tmp_path: Path) -> None:
    # If all others of its group get dearer, a product gains 1 times as much: of a product's elasticity of -2 the group
    # has nothing.
    simulation = Simulation(products=12, weeks=60, categories=1)
    ((columns, truth),) = simulate_departure(simulation, "substitutes_one", seed=1)
    sales = pd.DataFrame(columns)
    alone, together = (
        refitted(tmp_path / name, sales, grouped=name == "together")
        .published("recommended_prices")
        .set_index("product")
        for name in ("alone", "together")
    )
    # Alone, the category's price index tells that cuts together gain less: some are taken back.
    lowered = (alone["action"] == "lower") | (alone["binding_rule"] == "category index")
    assert (alone["action"] == "lower").any()
    assert lowered.sum() >= 6
    assert (together.loc[lowered, "action"] == "raise").mean() > 0.5
    of_products = pd.DataFrame(truth).set_index("product")
    of_products["revenue"] = (sales["units"] * sales["price"]).groupby(sales["product"]).mean()
    of_products["group"] = sales.groupby("product")["substitutes"].first()
    assert true_gain(of_products, alone) < true_gain(of_products, together)
    assert true_gain(of_products, together) > 0


def true_gain(of_products: pd.DataFrame, prices: pd.DataFrame) -> float:
    """Give what the recommended prices, one at a time, truly add to all products' revenue a period, summed."""
    revenue, group = of_products["revenue"], of_products["group"]
    gain = 0.0
    for product, ratio in (prices["price_recommended"] / prices["price_now"]).items():
        others = (group == group[product]) & (group.index != product)
        gain += revenue[product] * (ratio ** (1 + of_products["elasticity"][product]) - 1)
        gain += (revenue * (ratio ** of_products["cross_elasticity"] - 1))[others].sum()
    return gain
