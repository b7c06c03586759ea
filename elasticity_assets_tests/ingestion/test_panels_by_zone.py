"""A category's panels where prices are set by zone: that of its products, and that of products in zones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from elasticity_assets.checks.model_input import facts
from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX
from elasticity_assets.inference.experiments import Experiment, with_experiments
from elasticity_assets.inference.price_lags import known_log_price, lag_name, lagged
from elasticity_assets.inference.simulate_zones import ZoneSimulation
from elasticity_assets.inference.substitute_prices import SUBSTITUTE_PRICES
from elasticity_assets.ingestion.panels import CategoryPanels, category_panels
from elasticity_assets.settings import FitSettings
from elasticity_assets_tests.support.sales_files import ingest, sales_settings
from elasticity_assets_tests.support.zoned_sales import zoned_sales

pytestmark = pytest.mark.quick

FIT = FitSettings(lags=2)


@pytest.fixture
def sales() -> pd.DataFrame:
    found = zoned_sales(ZoneSimulation(products=3, zones=2, weeks=20))[0]
    return found.assign(group=found["product"].map({"p0": "a", "p1": "a", "p2": ""}))


def panels_of(connection, folder: Path, sales: pd.DataFrame, **more: object) -> CategoryPanels:
    sales.rename(columns={"week": "date"}).to_csv(folder / "sales.csv", index=False)
    settings = sales_settings(folder / "sales.csv", **more)
    ingest(connection, settings)
    (panels,) = category_panels(connection, settings, FIT, ["all"])
    return panels


def test_products_in_zones_have_controls_made_of_their_own_prices(connection, tmp_path: Path, sales) -> None:
    zones = {"zones": {"column": "zone", "covariates": ["size"]}}
    panels = panels_of(connection, tmp_path, sales, columns={"substitutes": "group"}, **zones)
    zoned, panel = panels.zoned, panels.panel
    assert zoned is not None
    rows = zoned.rows
    assert (panel.n_products, rows.n_products, list(zoned.zone)) == (3, 6, ["z0", "z1"])
    assert rows.control == panel.control == (
        CATEGORY_PRICE_INDEX, "category_price_change", lag_name(1), lag_name(2), SUBSTITUTE_PRICES
    )  # fmt: skip
    n, T = rows.n_products, rows.n_periods
    np.testing.assert_allclose(rows.controls[:n, :T, 2], lagged(known_log_price(rows), 1), atol=1e-6)
    # p0's substitute is p1 of the same zone.
    np.testing.assert_allclose(rows.controls[:2, :T, 4], known_log_price(rows)[2:4], atol=1e-6)
    assert not rows.controls[4:n, :T, 4].any()
    total = np.add.reduceat(rows.units[:n, :T], [0, 2, 4])
    np.testing.assert_array_equal(panel.units[:3, :T], total)
    assert zoned.covariate == ("size",)
    assert abs(zoned.covariates.mean()) < 1e-6


def test_what_fits_by_zone_leave_out_is_told(connection, tmp_path: Path, sales) -> None:
    sales = sales.assign(regular=sales["price"] * 1.1)
    columns = {"zone": "zone", "regular_price": "regular"}
    panels = panels_of(connection, tmp_path, sales, columns=columns)
    regular = "regular prices (promotion_elasticity has no rows)"
    assert facts(panels).left_out == regular
    tested = with_experiments(panels.panel, [Experiment("p0", -2.0, 0.3)])
    told = replace(panels, panel=tested)
    assert facts(told).left_out == f"results of price tests elsewhere; {regular}"
    assert facts(replace(told, zoned=None)).left_out == ""


def test_a_category_without_zones_has_the_panel_that_it_had(connection, tmp_path: Path, sales) -> None:
    by_zone = panels_of(connection, tmp_path, sales, columns={"zone": "zone"})
    without = panels_of(connection, tmp_path, sales)
    assert without.zoned is None
    for name in ("units", "log_price", "controls", "weight", "observed"):
        np.testing.assert_array_equal(getattr(without.panel, name), getattr(by_zone.panel, name))
