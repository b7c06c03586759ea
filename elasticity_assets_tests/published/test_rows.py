from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from elasticity_assets.fitting.stored_fits import FitRecord
from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX
from elasticity_assets.inference.hierarchy import message, pool
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics, Summary, TwoSlopes
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.published import rows as rows_of
from elasticity_assets.warehouse import tables

pytestmark = pytest.mark.quick

RECORD = FitRecord("fit", "2024-01-02T03:04:05", "hash", 30)


def posterior(n: int = 2, control: tuple[str, ...] = ("display",)) -> CategoryPosterior:
    """One grid point: the category is N(-2, 0.1^2), product i is N(-1 - i, 0.2^2)."""
    return CategoryPosterior(
        category="c",
        product=np.array([f"p{i}" for i in range(n)]),
        period=np.array(["2024-01-01", "2024-01-08"], dtype="datetime64[D]"),
        control=control,
        prior_mean=DEFAULT.category_mean,
        prior_var=DEFAULT.category_var,
        tau=np.array([0.5]),
        weight=np.ones(1),
        category_mean=np.array([-2.0]),
        category_var=np.array([0.01]),
        product_mean=-1.0 - np.arange(n, dtype=float)[None],
        product_var=np.full((1, n), 0.04),
        product_gain=np.full((1, n), 0.5),
        control_mean=np.full((1, len(control)), 0.3),
        control_cov=0.01 * np.eye(len(control))[None],
        control_gain=np.full((1, len(control)), -0.1),
        product_control_cov=np.full((1, n, len(control)), -0.005),
        level=np.zeros(n),
        period_effect=np.zeros(2),
        dispersion=np.array([3.0, np.inf, 5.0])[:n],
        log_dispersion_sd=np.zeros(n),
        level_mean=0.0,
        level_spread=1.0,
        period_spread=0.1,
        log_dispersion_mean=1.0,
        log_dispersion_spread=0.5,
        trace=np.zeros(0),
        diagnostics=FitDiagnostics(
            "svi", "poisson", False, "cpu x1", 9, True, float("nan"), 1.5, ("careful",)
        ),
    )


def two_slopes() -> TwoSlopes:
    """Two products, the second one without promotions."""
    summary = [np.array([-1.0, -2.0]), np.full(2, 0.2)]
    summary += [summary[0] - 0.3, summary[0], summary[0] + 0.3, np.ones(2)]
    return TwoSlopes(
        category="c",
        product=np.array(["p0", "p1"]),
        regular=Summary(*summary),
        regular_long_run=Summary(*(array + 0.1 * (of not in (1, 5)) for of, array in enumerate(summary))),
        promotion=Summary(*(array.copy() for array in summary)),
        n_periods=np.array([10, 7]),
        n_promotion_periods=np.array([3, 0]),
        log_regular_price_sd=np.array([0.1, 0.2]),
        log_discount_sd=np.array([0.1, 0.0]),
        warnings=(),
    )


def sales(n: int = 2) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product": [f"p{i}" for i in range(n)],
            "product_description": None,
            "n_periods": 10,
            "units": 50.0,
            "revenue": 10.0,
            "price_mean": 2.0,
            "price_min": 1.0,
            "price_max": 3.0,
            "log_price_sd": 0.1,
            "sold": True,
            "n_suspect": 0,
            "n_fitted": 10,
            "units_per_period": 5.0,
            "has_substitutes": False,
            "tested": False,
        }
    )


def assert_fits(rows: pd.DataFrame, table: tables.Table) -> None:
    names = {column.name for column in table.columns}
    needed = {column.name for column in table.columns if not column.nullable}
    assert needed <= set(rows) <= names
    assert not rows[sorted(needed)].isna().any().any()


def test_product_rows_hold_the_posterior_and_the_sales() -> None:
    rows = rows_of.product_rows(posterior(), RECORD, sales(), min_periods=8)
    assert_fits(rows, tables.PRODUCT_ELASTICITY)
    assert rows["elasticity"].tolist() == [-1.0, -2.0]
    np.testing.assert_allclose(rows["elasticity_sd"], 0.2)
    np.testing.assert_allclose(rows["elasticity_q05"], [-1 + 0.2 * norm.ppf(0.05), -2 + 0.2 * norm.ppf(0.05)])
    np.testing.assert_allclose(rows["prob_elastic"], [0.5, norm.cdf(5)])
    # Var(beta_i | beta_c) / tau^2 = (0.04 - 0.5^2 * 0.01) / 0.25
    np.testing.assert_allclose(rows["shrinkage"], 0.15)
    assert rows["flag"].tolist() == [None, None]
    assert set(rows["fitted_at"]) == {datetime(2024, 1, 2, 3, 4, 5)}


def test_zone_rows_hold_the_posterior_and_the_sales_in_each_zone() -> None:
    from elasticity_assets_tests.support.zones import zoned_posterior

    of_zones = pd.concat([sales().assign(zone=zone) for zone in ("north", "south")], ignore_index=True)
    of_zones = of_zones.assign(
        price_latest=2.0, price_latest_at=datetime(2024, 1, 8), revenue_per_period=10.0
    )
    of_zones.loc[2, "log_price_sd"] = 0.0  # p0 in the south
    rows = rows_of.zone_rows(zoned_posterior(), RECORD, of_zones.iloc[[0, 3, 2]], min_periods=8)
    assert_fits(rows, tables.ZONE_ELASTICITY)
    assert list(zip(rows["product"], rows["zone"], strict=True)) == [
        ("p0", "north"), ("p0", "south"), ("p1", "south"),
    ]  # fmt: skip
    assert rows["elasticity"].tolist() == [-1.0, -1.5, -2.5]
    np.testing.assert_allclose(rows["elasticity_sd"], 0.3)
    assert rows["shrinkage"].tolist() == [0.1, 0.2, 0.95]
    np.testing.assert_allclose(rows["shared_sd"], 0.2 * rows["shrinkage"])
    assert rows["estimated"].tolist() == [True, False, True]
    assert rows["flag"].tolist() == [
        None,
        "one price only in this zone: the elasticity is the product's",
        "mostly the product's number: 95%",
    ]


@pytest.mark.parametrize("changes", [{"log_price_sd": 1e-12}, {"sold": False}])
def test_what_no_price_and_no_sale_told_is_not_estimated(changes: dict[str, float]) -> None:
    one = sales().assign(**{name: [value, sales()[name][1]] for name, value in changes.items()})
    both = sales().assign(**changes)
    assert rows_of.product_rows(posterior(), RECORD, one, 8)["estimated"].tolist() == [False, True]
    assert rows_of.product_rows(posterior(), RECORD, both, 8)["estimated"].tolist() == [False, False]
    assert rows_of.category_row(posterior(), RECORD, one)["estimated"].tolist() == [True]
    assert rows_of.category_row(posterior(), RECORD, both)["estimated"].tolist() == [False]
    assert rows_of.category_row(posterior(), RECORD, sales().iloc[:0])["estimated"].tolist() == [False]


def test_a_price_test_elsewhere_tells_what_no_price_told() -> None:
    one_price = sales().assign(log_price_sd=1e-12, tested=[True, False])
    rows = rows_of.product_rows(posterior(), RECORD, one_price, 8)
    assert rows["estimated"].tolist() == [True, False]
    assert rows["flag"].tolist() == [None, "one price only: the elasticity is the category's"]
    assert rows_of.category_row(posterior(), RECORD, one_price)["estimated"].tolist() == [True]


def test_two_slopes_rows_say_what_no_price_told_them() -> None:
    at = datetime(2024, 1, 2)
    rows = rows_of.two_slopes_rows(two_slopes(), "fit", at, min_periods=8)
    assert_fits(rows, tables.PROMOTION_ELASTICITY)
    assert rows["regular_elasticity_q95"].tolist() == [-0.7, -1.7]
    assert rows["flag"].tolist() == [
        None,
        "the discount never changed: promotion_elasticity is the category's; few periods: fewer than 8",
    ]
    bare = replace(two_slopes(), log_regular_price_sd=np.zeros(2), warnings=("no",))
    flags = rows_of.two_slopes_rows(bare, "fit", at, min_periods=8)["flag"]
    assert flags[0] == (
        "no regular price of the category ever changed: regular_elasticity is the prior's; "
        "the fit of two slopes did not converge"
    )


def test_category_control_and_diagnostics_rows_fit_their_tables() -> None:
    category = rows_of.category_row(posterior(3), RECORD, sales(3))
    assert_fits(category, tables.CATEGORY_ELASTICITY)
    assert category["elasticity"].item() == -2.0
    assert category["dispersion"].item() == 4.0  # median of the finite 3 and 5
    assert category["product_spread"].item() == 0.5
    assert category["elasticity_later"].item() is None  # there is no lag among the controls
    assert category["elasticity_long_run_q95"].item() == category["elasticity_q95"].item()
    controls = rows_of.control_rows(posterior())
    assert_fits(controls, tables.CONTROL_EFFECT)
    np.testing.assert_allclose(controls["effect_q95"], 0.3 + 0.1 * norm.ppf(0.95))
    assert rows_of.control_rows(posterior(control=())).empty
    diagnostics = rows_of.diagnostics_row(posterior(), RECORD)
    assert_fits(diagnostics, tables.FIT_DIAGNOSTICS)
    assert diagnostics["elbo"].item() is None
    assert diagnostics["warnings"].item() == ["careful"]


def test_what_lasts_is_the_elasticity_and_the_effects_of_the_lags() -> None:
    fitted = posterior(2, ("price_lag_1", "display", "price_lag_2"))
    products = rows_of.product_rows(fitted, RECORD, sales(2), min_periods=8)
    assert_fits(products, tables.PRODUCT_ELASTICITY)
    np.testing.assert_allclose(products["elasticity_long_run"], [-0.4, -1.4])
    np.testing.assert_allclose(products["elasticity_long_run_sd"] ** 2, 0.04 + 2 * 0.01 - 4 * 0.005)
    category = rows_of.category_row(fitted, RECORD, sales(2))
    assert category["elasticity_long_run"].item() == pytest.approx(-1.4)
    assert category["elasticity_long_run_sd"].item() ** 2 == pytest.approx(0.01 + 2 * 0.01 - 4 * 0.1 * 0.01)
    assert category["elasticity_later"].item() == pytest.approx(0.6)
    assert category["elasticity_later_sd"].item() ** 2 == pytest.approx(2 * 0.01)


def test_poisson_has_no_dispersion() -> None:
    fitted = replace(posterior(), dispersion=np.full(2, np.inf))
    assert rows_of.category_row(fitted, RECORD, sales())["dispersion"].item() is None


def test_global_row_adds_the_categories_up() -> None:
    fits = [posterior(), replace(posterior(3), category="d")]
    levels = pool([message(fit) for fit in fits], DEFAULT)
    categories = pd.concat([rows_of.category_row(fit, RECORD, sales()) for fit in fits])
    row = rows_of.global_row(levels, replace(RECORD, n_obs=60), categories)
    assert_fits(row, tables.GLOBAL_ELASTICITY)
    assert row[["n_categories", "n_products", "n_obs"]].to_numpy().tolist() == [[2, 5, 60]]
    assert row["elasticity"].item() == pytest.approx(-2.0, abs=0.05)  # both categories say -2, and the prior


def test_moves_of_the_category_leave_out_products_without_sales() -> None:
    fitted = posterior(control=(CATEGORY_PRICE_INDEX,))
    assert rows_of.category_move_rows(fitted, RECORD, sales(1))["product"].tolist() == ["p0"]


def test_no_rows_give_an_empty_table() -> None:
    empty = rows_of.concatenated([], tables.PRODUCT_ELASTICITY)
    assert empty.empty
    assert_fits(empty, tables.PRODUCT_ELASTICITY)
