"""A project whose prices are set by zone, refitted by the command in processes of its own."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml

from elasticity_assets.inference.simulate_zones import ZoneSimulation
from elasticity_assets_tests.end_to_end.test_refit import elasticity
from elasticity_assets_tests.support.projects import settings_dict
from elasticity_assets_tests.support.zoned_sales import zoned_sales

SIMULATION = ZoneSimulation(products=4, zones=3, weeks=40, shock_sd=0.1, level_mean=3.0, own_prices=1.0)


def table(folder: Path, name: str) -> pd.DataFrame:
    with duckdb.connect(folder / "data/elasticity.duckdb", read_only=True) as connection:
        return connection.execute(f"FROM {name}").df()


@pytest.fixture(scope="module")
def sales_and_truth() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two categories in three zones and one in one zone, and true elasticities by zone."""
    parts, truths = [], []
    for seed, category in enumerate(("cheese", "soup")):
        sales, truth = zoned_sales(SIMULATION, seed)
        sales["product"] = category + " " + sales["product"]
        size = (sales if not parts else parts[0]).drop_duplicates("zone").set_index("zone")["size"]
        parts.append(sales.assign(category=category, size=sales["zone"].map(size)))
        keys = parts[-1][["category", "product", "zone"]].drop_duplicates(ignore_index=True)
        truths.append(keys.assign(truth=truth.row))
    alone = parts[1][parts[1]["zone"] == "z0"]
    parts.append(alone.assign(category="tea", product=alone["product"].str.replace("soup", "tea")))
    return pd.concat(parts, ignore_index=True), pd.concat(truths)


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, sales_and_truth: tuple[pd.DataFrame, pd.DataFrame]
) -> Path:
    """Refitted once, without the last week of the cheese."""
    folder = tmp_path_factory.mktemp("zones")
    settings = settings_dict(slow_demand=True)
    del settings["sales"]["columns"]["regular_price"]
    settings["sales"]["zones"] = {"column": "zone", "covariates": ["size"]}
    (folder / "elasticity.yaml").write_text(yaml.safe_dump(settings))
    (folder / "sales").mkdir()
    sales, _ = sales_and_truth
    last = (sales["week"] == sales["week"].max()) & (sales["category"] == "cheese")
    sales[~last].to_csv(folder / "sales/first.csv", index=False)
    sales[last].to_csv(folder / "last.csv", index=False)
    done = elasticity(folder, "refit")
    assert done.returncode == 0, done.stderr
    return folder


def test_elasticities_by_zone_are_published(
    folder: Path, sales_and_truth: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    zones, products = table(folder, "zone_elasticity"), table(folder, "product_elasticity")
    _, truth = sales_and_truth
    found = zones.merge(truth, on=["category", "product", "zone"], validate="one_to_one")
    assert len(found) == len(truth) == len(zones)
    inside = found["truth"].between(found["elasticity_q05"], found["elasticity_q95"])
    assert inside.mean() > 0.7, found
    assert np.abs(found["elasticity"] - found["truth"]).median() < 0.4
    assert set(products["category"]) == {"cheese", "soup", "tea"}
    fits = products.groupby("category")["fit_id"].unique()
    assert all(len(own) == 1 for own in fits)
    assert set(zones["fit_id"]) == set(fits["cheese"]) | set(fits["soup"])
    # Over all zones an elasticity lies among those of its zones.
    for product, own in zones.groupby("product"):
        together = products.set_index("product")["elasticity"][product]
        assert own["elasticity"].min() - 0.01 < together < own["elasticity"].max() + 0.01


def test_fits_by_zone_are_judged_and_told_in_the_report(folder: Path) -> None:
    diagnostics = table(folder, "fit_diagnostics").set_index("category")
    assert diagnostics["converged"].all()
    for name in ("heldout_coverage_90", "split_sample_agreement"):
        assert diagnostics[name].between(0.5, 1.0).all(), diagnostics[name]
    assert set(table(folder, "causal_evidence")["category"]) == {"cheese", "soup", "tea"}
    checks = table(folder, "check_results")
    assert checks[~checks["passed"] & (checks["severity"] == "error")].empty
    assert "Where elasticities differ by zone" in (folder / "data/reports/latest.html").read_text()


def test_each_zone_has_a_price_beside_the_change_everywhere(folder: Path) -> None:
    prices, zones = table(folder, "recommended_prices"), table(folder, "zone_elasticity")
    key = ["category", "product", "zone"]
    assert len(prices[prices["zone"].isna()]) == len(table(folder, "product_elasticity"))
    by_zone = prices[prices["zone"].notna()].merge(zones, on=key, validate="one_to_one")
    assert len(by_zone) == len(zones)
    assert (by_zone["price_now"] >= by_zone["price_latest"] - 1e-9).all()
    costs = table(folder, "uniform_pricing")
    assert costs.loc[costs["product"].isna(), "category"].tolist() == ["cheese", "soup"]
    assert (costs["cost"] >= -1e-9).all()
    assert "one change in all " in (folder / "data/reports/latest.html").read_text()


def test_a_second_refit_changes_nothing_and_a_new_week_refits_its_category_alone(folder: Path) -> None:
    first = {name: table(folder, name) for name in ("zone_elasticity", "product_elasticity")}
    assert elasticity(folder, "refit").returncode == 0
    for name, rows in first.items():
        pd.testing.assert_frame_equal(table(folder, name), rows)
    (folder / "last.csv").rename(folder / "sales/last.csv")
    assert elasticity(folder, "refit").returncode == 0
    before, after = (
        rows.groupby("category")["fit_id"].first()
        for rows in (first["product_elasticity"], table(folder, "product_elasticity"))
    )
    assert (before == after).to_dict() == {"cheese": False, "soup": True, "tea": True}
    zones = table(folder, "zone_elasticity").merge(
        first["zone_elasticity"], on=["category", "product", "zone"], suffixes=("", "_before")
    )
    moved = np.abs(zones["elasticity"] - zones["elasticity_before"]) / zones["elasticity_sd"]
    assert len(zones) == len(first["zone_elasticity"])
    assert moved[zones["category"] == "cheese"].between(1e-9, 1.0).all()
    assert (moved[zones["category"] == "soup"] < 0.2).all()
