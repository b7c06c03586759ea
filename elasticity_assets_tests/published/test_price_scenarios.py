from collections.abc import Sequence
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pytest

from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX
from elasticity_assets.published import rows as rows_of
from elasticity_assets.published.price_scenarios import replace_scenarios
from elasticity_assets.warehouse import tables
from elasticity_assets.warehouse.schema import Table, bring_up_to_date, replace_rows
from elasticity_assets_tests.published.test_rows import RECORD, assert_fits, posterior, sales, two_slopes

pytestmark = pytest.mark.quick

SCENARIO_TABLES = (
    tables.PRODUCT_ELASTICITY,
    tables.CATEGORY_MOVE_ELASTICITY,
    tables.CATEGORY_ELASTICITY,
    tables.PROMOTION_ELASTICITY,
    tables.PRICE_SCENARIOS,
)
NO_MOVES = rows_of.concatenated([], tables.CATEGORY_MOVE_ELASTICITY)


def scenario_rows(
    products: pd.DataFrame, moves: pd.DataFrame, more: Sequence[tuple[Table, pd.DataFrame]] = ()
) -> pd.DataFrame:
    """Rows of price_scenarios as DuckDB works them out; `more` are further tables' rows."""
    with duckdb.connect() as connection:
        bring_up_to_date(connection, SCENARIO_TABLES)
        replace_rows(connection, tables.PRODUCT_ELASTICITY, products)
        replace_rows(connection, tables.CATEGORY_MOVE_ELASTICITY, moves)
        for table, rows in more:
            replace_rows(connection, table, rows)
        for _ in range(2):  # what was there is replaced
            assert replace_scenarios(connection) == 9 * len(products)
        return connection.sql("FROM price_scenarios ORDER BY category, product, price_change").df()


def test_scenarios_are_quantiles_of_what_the_elasticity_implies() -> None:
    products = rows_of.product_rows(posterior(), RECORD, sales(), min_periods=8)
    rows = scenario_rows(products, NO_MOVES)
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
    assert rows["estimated"].all()
    unknown = scenario_rows(products.assign(estimated=[True, False]), NO_MOVES)
    assert unknown.groupby("product")["estimated"].all().tolist() == [True, False]


def test_what_lasts_and_what_a_promotion_does_have_their_own_slopes() -> None:
    fitted = posterior(control=("price_lag_1", "price_lag_2"))
    products = rows_of.product_rows(fitted, RECORD, sales(), min_periods=8)
    category = (tables.CATEGORY_ELASTICITY, rows_of.category_row(fitted, RECORD, sales()))
    without = scenario_rows(products, NO_MOVES, [category])
    slopes = rows_of.two_slopes_rows(two_slopes(), "fit", RECORD.fitted, 8)
    both = scenario_rows(products, NO_MOVES, [category, (tables.PROMOTION_ELASTICITY, slopes)])
    # Regular prices that never changed, and promotions that never were, say nothing.
    nothing = slopes.assign(log_regular_price_sd=0.0, n_promotion_periods=0)
    constant = scenario_rows(products, NO_MOVES, [category, (tables.PROMOTION_ELASTICITY, nothing)])
    pd.testing.assert_frame_equal(constant, without)
    for rows, lasting, promotion in (
        (without, products["elasticity_long_run_q50"], products["elasticity_q50"]),
        (both, slopes["regular_elasticity_long_run_q50"], slopes["promotion_elasticity_q50"]),
    ):
        assert_fits(rows, tables.PRICE_SCENARIOS)
        cheaper = rows[rows["price_change"] == -0.2].reset_index(drop=True)
        np.testing.assert_allclose(cheaper["lasting_units_change"], 0.8**lasting - 1)
        np.testing.assert_allclose(cheaper["lasting_revenue_change"], 0.8 ** (1 + lasting) - 1)
        np.testing.assert_allclose(cheaper["promotion_units_change"], 0.8**promotion - 1)
        np.testing.assert_allclose(cheaper["promotion_later_units_change"], 0.8**0.6 - 1)
        np.testing.assert_allclose(cheaper["units_change"], 0.8 ** products["elasticity_q50"] - 1)
        for name in ("lasting_units_change", "promotion_units_change", "promotion_later_units_change"):
            assert (cheaper[f"{name}_q05"] < cheaper[name]).all()
            assert (cheaper[name] < cheaper[f"{name}_q95"]).all()
        promotions = rows.filter(like="promotion_")
        assert (promotions[rows["price_change"] == 0] == 0).all().all()
        assert promotions[rows["price_change"] > 0].isna().all().all()  # no promotion is dearer


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
        control_cov=np.array([np.diag([0.01, 0.03]), np.diag([0.01, 0.05])]),
        product_control_cov=np.stack([np.zeros((2, 2)), cov], axis=2),
    )
    products = rows_of.product_rows(fitted, RECORD, sales(), min_periods=8)
    moves = rows_of.category_move_rows(fitted, RECORD, sales())
    assert_fits(moves, tables.CATEGORY_MOVE_ELASTICITY)
    rows = scenario_rows(products, moves)
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


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ((2.0, 1.9, 2.25), ["1.90 to 2.25"] * 3 + [None] * 4 + ["1.90 to 2.25"] * 2),
        ((0.02, 0.0171, 0.0212), ["0.0171 to 0.0212"] * 2 + [None] * 4 + ["0.0171 to 0.0212"] * 3),
        ((1234.5, 1234.5, 1234.5), ["1234.50 to 1234.50"] * 4 + [None] + ["1234.50 to 1234.50"] * 4),
        # Lies above the others by rounding.
        ((np.mean([0.1] * 3), 0.1, 0.1), ["0.1 to 0.1"] * 4 + [None] + ["0.1 to 0.1"] * 4),
    ],
)
def test_scenarios_beyond_the_prices_observed_are_flagged(prices: tuple, words: list) -> None:
    of_sales = sales(1).assign(price_latest=prices[0], price_min=prices[1], price_max=prices[2])
    products = rows_of.product_rows(posterior(1), RECORD, of_sales, min_periods=8)
    rows = scenario_rows(products, NO_MOVES)
    flags = rows["flag"].replace({np.nan: None}).tolist()
    assert flags == [word and f"outside the prices observed: {word}" for word in words]
    assert rows["extrapolated"].tolist() == [word is not None for word in words]


def test_scenarios_start_from_the_latest_price_and_recent_units_and_count_money_a_period() -> None:
    late = sales(1).assign(price_latest=4.0, units_per_period=10.0, revenue_per_period=40.0)
    products = rows_of.product_rows(posterior(1), RECORD, late, min_periods=8)
    rows = scenario_rows(products, NO_MOVES).set_index("price_change")
    assert rows.loc[0.0, ["price", "units_per_period", "revenue_per_period"]].tolist() == [4.0, 10.0, 40.0]
    dearer = rows.loc[0.1]
    assert dearer["price"] == pytest.approx(4.4)
    assert dearer["units_per_period"] == pytest.approx(10 * (1 + dearer["units_change"]))
    assert dearer["revenue_per_period"] == pytest.approx(dearer["price"] * dearer["units_per_period"])


def test_no_products_have_no_scenarios() -> None:
    assert scenario_rows(rows_of.concatenated([], tables.PRODUCT_ELASTICITY), NO_MOVES).empty


def test_products_that_are_gone_have_no_scenarios_any_more() -> None:
    two = rows_of.product_rows(posterior(), RECORD, sales(), min_periods=8)
    with duckdb.connect() as connection:
        bring_up_to_date(connection, SCENARIO_TABLES)
        for products in (two, two.iloc[:1]):
            replace_rows(connection, tables.PRODUCT_ELASTICITY, products)
            assert replace_scenarios(connection) == 9 * len(products)
        left = connection.sql("SELECT DISTINCT product FROM price_scenarios").fetchall()
    assert left == [(two["product"].iloc[0],)]
