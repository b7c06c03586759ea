"""Controls that the pipeline adds itself, from sales files to the published file."""

import numpy as np
import pandas as pd
import pytest
import yaml

from elasticity_assets.holiday_control import holidays_in_periods
from elasticity_assets.inference.simulate import Simulation, simulate
from elasticity_assets_tests.support.projects import Project, checks, open_project, settings_dict

HOLIDAY_EFFECT = 0.5


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two categories over 90 weeks, whose sales rise with every holiday of a week; a flag that does nothing."""
    folder = tmp_path_factory.mktemp("project")
    columns, _ = simulate(Simulation(products=24, weeks=90, categories=2), 4)
    sales = pd.DataFrame(columns)
    weeks = np.unique(sales["week"].to_numpy().astype("datetime64[D]"))
    n_holidays = pd.Series(holidays_in_periods("US", weeks, "week"), pd.to_datetime(weeks))
    factor = np.exp(HOLIDAY_EFFECT * sales["week"].map(n_holidays).to_numpy())
    rng = np.random.default_rng(0)
    sales["units"] = rng.poisson(sales["units"] * factor)
    number = sales["product"].str.extract(r"(\d+)", expand=False).astype(int)
    sales["size"] = np.where(number % 12 == 0, None, "size " + (number % 3).astype(str))  # the last has none
    sales["promoted"] = np.where(rng.random(len(sales)) < 0.3, "yes", "no")
    settings = settings_dict()
    del settings["sales"]["columns"]["regular_price"]
    settings["sales"] |= {"controls": ["promoted"], "holidays": "US"}
    settings["sales"]["columns"] |= {"substitutes": "size"}
    (folder / "elasticity.yaml").write_text(yaml.safe_dump(settings))
    project = open_project(folder)
    project.write_sales(sales)
    assert project.ingest().success
    result = project.refit()
    assert result.success
    assert all(evaluation.passed for evaluation in checks(result).values())
    return project


def test_the_effect_of_holidays_is_found_and_that_of_a_flag_without_one_is_none(project: Project) -> None:
    effects = project.published("control_effect")
    assert effects.groupby("control").size().to_dict() == {
        "category_price_change": 2,
        "category_price_index": 2,
        "holidays": 2,
        "price_season": 2,
        "promoted": 2,
        "substitute_prices": 2,
        **{f"price_lag_{lag}": 2 for lag in range(1, 5)},
    }
    for control, truth, widest in (("holidays", HOLIDAY_EFFECT, 0.12), ("promoted", 0.0, 0.08)):
        found = effects[effects["control"] == control]
        assert (found["effect_sd"] < widest).all()
        assert ((found["effect"] - truth).abs() < 3 * found["effect_sd"]).all()


def test_both_questions_are_answered_for_every_product(project: Project) -> None:
    products = project.published("product_elasticity")
    moves = project.published("category_move_elasticity")
    scenarios = project.published("price_scenarios")
    assert len(moves) == len(products) == 24
    effects = project.published("control_effect").set_index(["category", "control"])["effect"]
    for category, of_category in moves.merge(products, on=["category", "product"]).groupby("category"):
        difference = of_category["elasticity_x"] - of_category["elasticity_y"]
        grouped = of_category["product"].isin(project.published("cross_elasticity")["product"])
        assert grouped.sum() == 11
        of_others = effects[category, "substitute_prices"] * grouped
        of_index = effects[category, "category_price_index"] + effects[category, "category_price_change"]
        np.testing.assert_allclose(difference - of_others, of_index, atol=1e-9)
    for category, of_category in products.groupby("category"):
        later = of_category["elasticity_long_run"] - of_category["elasticity"]
        lags = sum(effects[category, f"price_lag_{lag}"] for lag in range(1, 5))
        np.testing.assert_allclose(later, lags, atol=1e-9)
    promotions = [column for column in scenarios if column.startswith("promotion_")]
    assert scenarios.drop(columns=["flag", *promotions]).notna().all().all()
    is_promotion = scenarios["price_change"] <= 0
    assert (is_promotion == scenarios[promotions].notna().T).all().all()
    assert not np.allclose(scenarios["category_units_change"], scenarios["units_change"])
    flagged = scenarios["flag"].notna()
    assert not flagged[scenarios["price_change"] == 0].any()
    assert flagged[scenarios["price_change"] == 0.2].any()


def test_a_products_pairs_add_up_to_what_all_its_substitutes_prices_do(project: Project) -> None:
    pairs = project.published("cross_elasticity")
    sizes = [4, 4, 3] * 2  # of each category
    assert len(pairs) == sum(size * (size - 1) for size in sizes)
    effects = project.published("control_effect").set_index(["category", "control"])["effect"]
    for (category, _), of_product in pairs.groupby(["category", "product"]):
        assert of_product["elasticity"].sum() == pytest.approx(effects[category, "substitute_prices"])
    assert (pairs["elasticity_q05"] < pairs["elasticity"]).all()
