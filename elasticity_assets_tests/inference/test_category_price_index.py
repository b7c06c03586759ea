"""The category's price index: what it is, and that both questions' answers are recovered with it."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference import nuts
from elasticity_assets.inference.category_price_index import (
    CATEGORY_PRICE_CHANGE,
    CATEGORY_PRICE_INDEX,
    category_price_index,
    with_category_price_index,
)
from elasticity_assets.inference.natural_gradient.engine import fit
from elasticity_assets.inference.options import NaturalGradientOptions, NutsOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales, with_control
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.summaries import category_move_summary, product_summary

SEEDS = 8
WEEKS = np.datetime64("2024-01-01") + 7 * np.arange(200)


def panel_of(
    units: np.ndarray, log_price: np.ndarray, seen: np.ndarray, missing: str = "unobserved"
) -> Panel:
    row, week = np.nonzero(seen)
    names = np.char.add("p", np.char.zfill(row.astype(str), 3))
    return panel_from_sales(
        CategorySales(
            "c",
            names,
            WEEKS[week],
            units[seen],
            np.exp(log_price[seen]),
            periods=WEEKS[: units.shape[1]],
            missing_periods=missing,
        )
    )


@pytest.mark.parametrize("missing", ["unobserved", "zero"])
def test_equals_a_plain_loop_over_the_products_that_count(missing: str) -> None:
    rng = np.random.default_rng(0)
    seen = rng.random((5, 12)) < 0.5
    seen[:, 3], seen[:, 4], seen[:, 5] = [False] * 5, [True] + [False] * 4, [True] * 5
    panel = panel_of(np.ones((5, 12)), rng.normal(0, 0.3, (5, 12)), seen, missing)
    weight = panel.weight.copy()
    weight[0, 5] = 0.0
    panel = replace(panel, weight=weight)
    index = category_price_index(panel)
    assert index.shape == (12,)
    own_mean = [np.mean(panel.log_price[i, :12][panel.observed[i, :12]]) for i in range(5)]
    for t in range(12):
        own = [panel.log_price[j, t] - own_mean[j] for j in range(5) if panel.weight[j, t] > 0]
        assert index[t] == pytest.approx(np.mean(own) if len(own) > 1 else 0.0, abs=1e-6)


def test_a_product_alone_has_none_and_moves_as_its_category_does() -> None:
    one = with_category_price_index(panel_of(np.ones((1, 6)), np.arange(6.0)[None], np.ones((1, 6), bool)))
    assert one.control == ()
    posterior = fit(one, DEFAULT, "poisson", NaturalGradientOptions(grid_points=1))
    np.testing.assert_array_equal(
        category_move_summary(posterior).mean, product_summary(posterior).mean, strict=True
    )


def test_a_product_alone_in_several_zones_has_none_either() -> None:
    log_price = np.random.default_rng(0).normal(0, 0.3, (3, 6))
    seen = np.ones((3, 6), bool)
    seen[2, :3] = False
    panel = panel_of(np.ones((3, 6)), log_price, seen)
    assert with_category_price_index(panel, product_of_row=np.zeros(3, int)).control == ()
    index = category_price_index(panel, np.array([0, 0, 1]))
    np.testing.assert_array_equal(index, np.where(seen[2], category_price_index(panel), 0.0))
    assert index[3:].all()


def test_is_zero_in_padding_and_where_nothing_was_observed() -> None:
    panel = with_category_price_index(
        panel_of(np.ones((3, 6)), np.random.default_rng(0).random((3, 6)), np.eye(3, 6) < 1)
    )
    assert panel.control == (CATEGORY_PRICE_INDEX,)
    assert panel.controls.shape == (8, 8, 1)
    assert panel.controls.dtype == np.float32
    assert not panel.controls[~panel.observed].any()


def test_a_control_of_periods_reaches_every_observed_cell_beside_those_of_the_files() -> None:
    panel = panel_of(np.ones((3, 6)), np.random.default_rng(0).random((3, 6)), np.eye(3, 6) < 1)
    both = with_control(with_category_price_index(panel), "holidays", np.arange(6.0))
    assert both.control == (CATEGORY_PRICE_INDEX, "holidays")
    np.testing.assert_array_equal(both.controls[:3, :6, 1], np.where(np.eye(3, 6) < 1, np.arange(6.0), 0.0))


def test_its_change_is_what_it_is_above_its_mean_over_the_lags() -> None:
    log_price = np.random.default_rng(0).normal(0, 0.1, (3, 12))
    panel = panel_of(np.ones((3, 12)), log_price, np.ones((3, 12), bool))
    index, both = category_price_index(panel), with_category_price_index(panel, 2)
    assert both.control == (CATEGORY_PRICE_INDEX, CATEGORY_PRICE_CHANGE)
    change = both.controls[0, :12, 1]
    assert change[0] == 0.0
    np.testing.assert_allclose(change[2:], index[2:] - 0.5 * (index[1:-1] + index[:-2]), atol=1e-6)


def simulated(seed: int, n: int = 40, kappa: float | None = None) -> tuple[Panel, np.ndarray, np.ndarray]:
    """Sales of products whose prices move together and each for itself; both elasticities of each product."""
    rng = np.random.default_rng(seed)
    T = 104
    together = np.cumsum(rng.normal(0, 0.03, T)) + rng.normal(0, 0.08, T)
    log_price = rng.normal(1, 0.5, (n, 1)) + together + rng.normal(0, 0.12, (n, T))
    seen = rng.random((n, T)) < 0.85
    elasticity = rng.normal(-2.2, 0.4, n)
    kappa = rng.normal(1.2, 0.3) if kappa is None else kappa
    empty = panel_of(np.ones((n, T)), log_price, seen)
    eta = rng.normal(2.5, 0.8, (n, 1)) + elasticity[:, None] * empty.centred_log_price()[:n, :T]
    gamma = kappa * category_price_index(empty) + rng.normal(0, 0.15, T)
    units = rng.poisson(np.exp(eta + gamma) * rng.gamma(6.0, 1 / 6.0, (n, T)))
    return panel_of(units.astype(float), log_price, seen), elasticity, elasticity + kappa


def test_prices_and_demand_that_drift_together_do_not_bias_a_small_category() -> None:
    without, with_it = [], []
    for seed in range(SEEDS):
        panel, elasticity, _ = simulated(seed, n=6, kappa=-1.0)
        for errors, given in ((without, panel), (with_it, with_category_price_index(panel))):
            posterior = fit(given, DEFAULT, "negative_binomial", NaturalGradientOptions(grid_points=1))
            errors.append((product_summary(posterior).mean - elasticity).mean())
    assert np.mean(without) < -0.15
    assert abs(np.mean(with_it)) < 0.5 * abs(np.mean(without))


def test_elasticities_alone_and_of_the_categorys_move_are_recovered() -> None:
    alone, moved = [], []
    for seed in range(SEEDS):
        panel, elasticity, of_move = simulated(seed)
        posterior = fit(
            with_category_price_index(panel), DEFAULT, "negative_binomial", NaturalGradientOptions()
        )
        assert posterior.diagnostics.converged
        found, move = product_summary(posterior), category_move_summary(posterior)
        alone.append((found.q05 < elasticity) & (elasticity < found.q95))
        moved.append((move.q05 < of_move) & (of_move < move.q95))
        assert np.abs(found.mean - elasticity).mean() < 0.3
    assert 0.85 < np.mean(alone) < 0.95
    assert 0.85 < np.mean(moved) < 0.95


@pytest.mark.slow
def test_the_sum_has_the_moments_that_nuts_draws() -> None:
    """In a small category elasticities and the index's effect go together; so do both engines' moments of them."""
    rng = np.random.default_rng(2)
    n, T = 5, 40
    log_price = rng.normal(0, 0.12, T) + rng.normal(0, 0.1, (n, T))
    units = rng.poisson(np.exp(3.0 - 2.0 * log_price + rng.normal(0, 0.1, T))).astype(float)
    panel = with_category_price_index(panel_of(units, log_price, np.ones((n, T), bool)))
    drawn = category_move_summary(
        nuts.fit(panel, DEFAULT, "poisson", NutsOptions(warmup=250, samples=750, chains=2))
    )
    posterior = fit(panel, DEFAULT, "poisson", NaturalGradientOptions())
    found = category_move_summary(posterior)
    assert np.abs((found.mean - drawn.mean) / drawn.sd).max() < 0.2
    np.testing.assert_allclose(found.sd, drawn.sd, rtol=0.12)
    # As if elasticity and effect were independent, the sum would be far less certain.
    apart = np.sqrt(product_summary(posterior).sd ** 2 + posterior.weight @ posterior.control_var[:, 0])
    assert (apart > 1.1 * found.sd).all()
