from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from elasticity_assets import elasticity_tables as rows_of
from elasticity_assets import tables
from elasticity_assets.fits import FitRecord
from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX
from elasticity_assets.inference.hierarchy import message, pool
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics, Summary, TwoSlopes
from elasticity_assets.inference.priors import DEFAULT

NO_MOVES = rows_of.concatenated([], tables.CATEGORY_MOVE_ELASTICITY)
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
        control_var=np.full((1, len(control)), 0.01),
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
        diagnostics=FitDiagnostics("svi", "poisson", "cpu x1", 9, True, float("nan"), 1.5, ("careful",)),
    )


def two_slopes() -> TwoSlopes:
    """Two products, the second one without promotions."""
    summary = [np.array([-1.0, -2.0]), np.full(2, 0.2)]
    summary += [summary[0] - 0.3, summary[0], summary[0] + 0.3, np.ones(2)]
    return TwoSlopes(
        category="c",
        product=np.array(["p0", "p1"]),
        regular=Summary(*summary),
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
    category = rows_of.category_row(posterior(3), RECORD)
    assert_fits(category, tables.CATEGORY_ELASTICITY)
    assert category["elasticity"].item() == -2.0
    assert category["dispersion"].item() == 4.0  # median of the finite 3 and 5
    assert category["product_spread"].item() == 0.5
    controls = rows_of.control_rows(posterior())
    assert_fits(controls, tables.CONTROL_EFFECT)
    np.testing.assert_allclose(controls["effect_q95"], 0.3 + 0.1 * norm.ppf(0.95))
    assert rows_of.control_rows(posterior(control=())).empty
    diagnostics = rows_of.diagnostics_row(posterior(), RECORD)
    assert_fits(diagnostics, tables.FIT_DIAGNOSTICS)
    assert diagnostics["elbo"].item() is None
    assert diagnostics["warnings"].item() == ["careful"]


def test_poisson_has_no_dispersion() -> None:
    fitted = replace(posterior(), dispersion=np.full(2, np.inf))
    assert rows_of.category_row(fitted, RECORD)["dispersion"].item() is None


def test_global_row_adds_the_categories_up() -> None:
    fits = [posterior(), replace(posterior(3), category="d")]
    levels = pool([message(fit) for fit in fits], DEFAULT)
    categories = pd.concat([rows_of.category_row(fit, RECORD) for fit in fits])
    row = rows_of.global_row(levels, replace(RECORD, n_obs=60), categories)
    assert_fits(row, tables.GLOBAL_ELASTICITY)
    assert row[["n_categories", "n_products", "n_obs"]].to_numpy().tolist() == [[2, 5, 60]]
    assert row["elasticity"].item() == pytest.approx(-2.0, abs=0.05)  # both categories say -2, and the prior


def test_scenarios_are_quantiles_of_what_the_elasticity_implies() -> None:
    products = rows_of.product_rows(posterior(), RECORD, sales(), min_periods=8)
    rows = rows_of.scenario_rows(products, NO_MOVES)
    assert_fits(rows, tables.PRICE_SCENARIOS)
    assert rows.filter(like="category_").drop(columns="category", errors="ignore").isna().all().all()
    assert rows["price_change"].tolist() == [-0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2] * 2
    draws = np.random.default_rng(0).normal(-2.0, 0.2, 400_000)
    for change in (-0.2, 0.2):
        row = rows[(rows["product"] == "p1") & (rows["price_change"] == change)].iloc[0]
        for name, power in (("units_change", draws), ("revenue_change", draws + 1)):
            drawn = np.quantile((1 + change) ** power - 1, [0.05, 0.5, 0.95])
            np.testing.assert_allclose(
                row[[f"{name}_q05", name, f"{name}_q95"]].astype(float), drawn, atol=2e-3
            )
    unchanged = rows[rows["price_change"] == 0.0]
    assert (unchanged.filter(regex="^(units|revenue)_change").to_numpy() == 0).all()


def test_scenarios_of_the_whole_category_are_quantiles_of_the_sum_that_the_joint_posterior_implies() -> None:
    """Two points of the grid, at which elasticity and effect are jointly Gaussian; against draws."""
    fitted = posterior(control=("display", CATEGORY_PRICE_INDEX))
    two = {
        name: np.repeat(getattr(fitted, name), 2, axis=0)
        for name in ("tau", "category_mean", "category_var", "product_var", "product_gain", "control_gain")
    }
    cov = np.array([[0.01, -0.03], [-0.015, 0.02]])  # by point of the grid and product
    fitted = replace(
        fitted,
        **two,
        weight=np.array([0.3, 0.7]),
        product_mean=np.array([[-1.0, -2.0], [-1.2, -2.3]]),
        control_mean=np.array([[0.3, 0.9], [0.3, 0.6]]),
        control_var=np.array([[0.01, 0.03], [0.01, 0.05]]),
        product_control_cov=np.stack([np.zeros((2, 2)), cov], axis=2),
    )
    products = rows_of.product_rows(fitted, RECORD, sales(), min_periods=8)
    moves = rows_of.category_move_rows(fitted, RECORD, sales())
    assert_fits(moves, tables.CATEGORY_MOVE_ELASTICITY)
    rows = rows_of.scenario_rows(products, moves)
    assert_fits(rows, tables.PRICE_SCENARIOS)
    rng = np.random.default_rng(0)
    for i in range(2):
        drawn = np.concatenate(
            [
                rng.multivariate_normal(
                    [fitted.product_mean[k, i], fitted.control_mean[k, 1]],
                    [[fitted.product_var[k, i], cov[k, i]], [cov[k, i], fitted.control_var[k, 1]]],
                    round(400_000 * fitted.weight[k]),
                ).sum(axis=1)
                for k in range(2)
            ]
        )
        assert moves["elasticity"][i] == pytest.approx(drawn.mean(), abs=2e-3)
        assert moves["elasticity_sd"][i] == pytest.approx(drawn.std(), rel=1e-2)
        row = rows[(rows["product"] == f"p{i}") & (rows["price_change"] == 0.2)].iloc[0]
        for name, power in (("category_units_change", drawn), ("category_revenue_change", drawn + 1)):
            expected = np.quantile(1.2**power - 1, [0.05, 0.5, 0.95])
            found = row[[f"{name}_q05", name, f"{name}_q95"]].astype(float)
            np.testing.assert_allclose(found, expected, atol=2e-3)


def test_moves_of_the_category_leave_out_products_without_sales() -> None:
    fitted = posterior(control=(CATEGORY_PRICE_INDEX,))
    assert rows_of.category_move_rows(fitted, RECORD, sales(1))["product"].tolist() == ["p0"]
    assert rows_of.category_move_rows(posterior(), RECORD, sales()).empty


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ((2.0, 1.9, 2.25), ["1.90 to 2.25"] * 3 + [None] * 4 + ["1.90 to 2.25"] * 2),
        ((0.02, 0.0171, 0.0212), ["0.0171 to 0.0212"] * 2 + [None] * 4 + ["0.0171 to 0.0212"] * 3),
        ((1234.5, 1234.5, 1234.5), ["1234.50 to 1234.50"] * 4 + [None] + ["1234.50 to 1234.50"] * 4),
        # The mean of three 0.1s lies above each of them, by rounding.
        ((np.mean([0.1] * 3), 0.1, 0.1), ["0.1 to 0.1"] * 4 + [None] + ["0.1 to 0.1"] * 4),
    ],
)
def test_scenarios_beyond_the_prices_observed_are_flagged(prices: tuple, words: list) -> None:
    of_sales = sales(1).assign(price_mean=prices[0], price_min=prices[1], price_max=prices[2])
    products = rows_of.product_rows(posterior(1), RECORD, of_sales, min_periods=8)
    flags = rows_of.scenario_rows(products, NO_MOVES)["flag"].tolist()
    assert flags == [word and f"outside the prices observed: {word}" for word in words]


def test_no_rows_give_an_empty_table() -> None:
    empty = rows_of.concatenated([], tables.PRODUCT_ELASTICITY)
    assert empty.empty
    assert_fits(empty, tables.PRODUCT_ELASTICITY)
    assert rows_of.scenario_rows(empty, NO_MOVES).empty
