"""Lags of the price: what they are, and that what promotions borrow from later on is found."""

import numpy as np
import pytest

from elasticity_assets.inference import nuts
from elasticity_assets.inference.natural_gradient.engine import fit
from elasticity_assets.inference.options import NaturalGradientOptions, NutsOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import Summary
from elasticity_assets.inference.price_lags import bearable_lags, with_price_lags
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.summaries import (
    category_long_run_summary,
    category_summary,
    later_summary,
    long_run_summary,
    product_summary,
)

WEEKS = np.datetime64("2024-01-01") + 7 * np.arange(200)
MOMENTS = ("mean", "sd", "q05", "q50", "q95")


def panel_of(units: np.ndarray, log_price: np.ndarray, seen: np.ndarray) -> Panel:
    row, week = np.nonzero(seen)
    names = np.char.add("p", np.char.zfill(row.astype(str), 3))
    periods = WEEKS[: units.shape[1]]
    return panel_from_sales(
        CategorySales("c", names, WEEKS[week], units[seen], np.exp(log_price[seen]), periods=periods)
    )


def test_an_unobserved_past_has_the_last_known_price_and_the_time_before_the_first_one_that() -> None:
    log_price = np.log([[2.0, 1.0, 1.0, 4.0, 1.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    seen = np.array([[0, 1, 0, 1, 0, 1], [1, 1, 1, 1, 1, 1]], bool)
    panel = with_price_lags(panel_of(np.ones((2, 6)), log_price, seen), 2)
    assert panel.control == ("price_lag_1", "price_lag_2")
    low, high = np.log([0.5, 2.0])  # against the product's mean, 2
    np.testing.assert_allclose(panel.controls[0, [1, 3, 5], 0], [low, low, high], atol=1e-6)
    np.testing.assert_allclose(panel.controls[0, [1, 3, 5], 1], [low, low, high], atol=1e-6)
    assert not panel.controls[1].any()
    assert not panel.controls[~panel.observed].any()


def test_lags_are_shifted_prices_where_all_are_known() -> None:
    log_price = np.random.default_rng(0).normal(0, 0.2, (3, 20))
    panel = with_price_lags(panel_of(np.ones((3, 20)), log_price, np.ones((3, 20), bool)), 3)
    centred = panel.centred_log_price()
    for k in range(3):
        np.testing.assert_array_equal(panel.controls[:3, k + 1 : 20, k], centred[:3, : 19 - k])
        np.testing.assert_array_equal(
            panel.controls[:3, : k + 1, k], np.repeat(centred[:3, :1], k + 1, axis=1)
        )


def test_prices_that_never_move_have_no_lags_and_few_periods_bear_few() -> None:
    still = panel_of(np.ones((2, 20)), np.zeros((2, 20)), np.ones((2, 20), bool))
    assert with_price_lags(still, 4).control == ()
    assert [bearable_lags(4, periods) for periods in (9, 10, 39, 40, 500)] == [0, 1, 3, 4, 4]
    assert bearable_lags(0, 500) == 0


def borrowing(seed: int, n: int = 30, T: int = 104) -> tuple[Panel, np.ndarray, np.ndarray]:
    """Sales in which the two weeks after a promotion give back a part; elasticities in the week, and that last."""
    rng = np.random.default_rng(seed)
    log_price = np.where(rng.random((n, T)) < 0.2, rng.uniform(-0.4, -0.1, (n, T)), 0.0)
    elasticity = rng.normal(-2.2, 0.3, n)
    later = np.array([0.6, 0.3])
    centred = log_price - log_price.mean(axis=1, keepdims=True)
    eta = rng.normal(2.5, 0.8, (n, 1)) + elasticity[:, None] * centred + rng.normal(0, 0.15, T)
    for lag, effect in enumerate(later, start=1):
        eta[:, lag:] += effect * centred[:, :-lag]
    units = rng.poisson(np.exp(eta) * rng.gamma(6.0, 1 / 6.0, (n, T))).astype(float)
    return panel_of(units, log_price, np.ones((n, T), bool)), elasticity, elasticity + later.sum()


def test_both_elasticities_are_recovered_where_promotions_borrow() -> None:
    short, long = [], []
    for seed in range(4):
        panel, in_its_week, lasting = borrowing(seed)
        posterior = fit(with_price_lags(panel, 4), DEFAULT, "negative_binomial", NaturalGradientOptions())
        short.append(covered(product_summary(posterior), in_its_week))
        long.append(covered(long_run_summary(posterior), lasting))
        later = later_summary(posterior)
        assert later is not None
        assert abs(later.mean[0] - 0.9) < 3 * later.sd[0] < 0.6
    assert 0.82 < np.mean(short) < 0.98
    assert 0.82 < np.mean(long) < 0.98


def covered(found: Summary, truth: np.ndarray) -> float:
    return float(np.mean((found.q05 < truth) & (truth < found.q95)))


def test_without_lags_what_lasts_is_what_the_week_brings() -> None:
    panel, *_ = borrowing(0, n=4, T=30)
    posterior = fit(panel, DEFAULT, "poisson", NaturalGradientOptions(grid_points=1))
    for name in MOMENTS:
        for long, short in (
            (long_run_summary(posterior), product_summary(posterior)),
            (category_long_run_summary(posterior), category_summary(posterior)),
        ):
            np.testing.assert_array_equal(getattr(long, name), getattr(short, name))
    assert later_summary(posterior) is None


@pytest.mark.slow
def test_the_sums_have_the_moments_that_nuts_draws() -> None:
    """With prices that stay, a price and those before go together, and so do their effects."""
    rng = np.random.default_rng(2)
    n, T = 5, 40
    log_price = np.repeat(rng.normal(0, 0.2, (n, T // 4)), 4, axis=1) + rng.normal(0, 0.03, (n, T))
    units = rng.poisson(np.exp(3.0 - 2.0 * log_price + rng.normal(0, 0.1, T))).astype(float)
    panel = with_price_lags(panel_of(units, log_price, np.ones((n, T), bool)), 2)
    drawn = nuts.fit(panel, DEFAULT, "poisson", NutsOptions(warmup=250, samples=750, chains=2))
    posterior = fit(panel, DEFAULT, "poisson", NaturalGradientOptions())
    for summary in (long_run_summary, category_long_run_summary, later_summary):
        found, expected = summary(posterior), summary(drawn)
        assert found is not None
        assert expected is not None
        assert np.abs((found.mean - expected.mean) / expected.sd).max() < 0.2
        np.testing.assert_allclose(found.sd, expected.sd, rtol=0.12)
    # As if the effects were independent, their sum would be far less certain.
    later = later_summary(posterior)
    assert later is not None
    assert np.sqrt(posterior.weight @ posterior.control_var.sum(axis=1)) > 1.1 * later.sd[0]
