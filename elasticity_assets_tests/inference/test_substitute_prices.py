"""Prices of substitutes: what the control is, and that what a product gains from others' prices is found."""

from dataclasses import replace

import numpy as np

from elasticity_assets.inference.category_price_index import with_category_price_index
from elasticity_assets.inference.natural_gradient.engine import fit
from elasticity_assets.inference.options import NaturalGradientOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.price_lags import known_log_price
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.substitute_prices import (
    SUBSTITUTE_PRICES,
    substitute_prices,
    with_substitute_prices,
)
from elasticity_assets.inference.summaries import category_move_summary, product_summary

WEEKS = np.datetime64("2024-01-01") + 7 * np.arange(200)


def panel_of(units: np.ndarray, log_price: np.ndarray, seen: np.ndarray) -> Panel:
    row, week = np.nonzero(seen)
    names = np.char.add("p", np.char.zfill(row.astype(str), 3))
    return panel_from_sales(
        CategorySales(
            "c", names, WEEKS[week], units[seen], np.exp(log_price[seen]), periods=WEEKS[: units.shape[1]]
        )
    )


def test_equals_a_plain_loop_over_the_others_of_the_group() -> None:
    rng = np.random.default_rng(0)
    seen = rng.random((7, 12)) < 0.6
    units = rng.integers(1, 30, (7, 12)).astype(float)
    panel = panel_of(units, rng.normal(0, 0.3, (7, 12)), seen)
    group = np.array(["a", "a", "b", "a", "b", "", "alone"])
    found, known = substitute_prices(panel, group), known_log_price(panel)
    sold = np.where(seen, units, 0.0).sum(axis=1)
    for i in range(7):
        others = [j for j in range(7) if j != i and group[j] == group[i] != ""]
        expected = np.average(known[others], axis=0, weights=sold[others]) if others else np.zeros(12)
        np.testing.assert_allclose(found[i], expected, atol=1e-12)
    control = with_substitute_prices(panel, group)
    assert control.control == (SUBSTITUTE_PRICES,)
    np.testing.assert_allclose(control.controls[:7, :12, 0], np.where(seen, found, 0.0), atol=1e-7)


def test_others_that_sell_nothing_are_no_substitutes() -> None:
    rng = np.random.default_rng(1)
    units = np.repeat([[1e7], [0.0], [0.0]], 10, axis=1)
    panel = panel_of(units, rng.normal(0, 0.3, (3, 10)), np.ones((3, 10), bool))
    found = substitute_prices(panel, np.array(["a", "a", "a"]))
    assert not found[0].any()
    np.testing.assert_allclose(found[1], known_log_price(panel)[0], rtol=1e-6)
    assert with_substitute_prices(panel, np.array(["", "", ""])).control == ()


def promoted_together(seed: int, cross: float) -> tuple[Panel, np.ndarray, np.ndarray]:
    """Sales of groups of four that are promoted together; their groups, and elasticities."""
    rng = np.random.default_rng(seed)
    n, T = 24, 104
    group = np.arange(n) // 4
    promoted = (rng.random((n // 4, T)) < 0.2)[group] & (rng.random((n, T)) < 0.8)
    log_price = rng.normal(1.0, 0.03, (n, T)) + np.where(promoted, rng.uniform(-0.4, -0.1, (n, T)), 0.0)
    level = rng.normal(2.5, 0.5, (n, 1))
    centred = log_price - log_price.mean(axis=1, keepdims=True)
    weight = np.exp(level)
    of_group = np.stack([(weight * centred)[group == g].sum(axis=0) for g in group])
    others = (of_group - weight * centred) / (np.array([[weight[group == g].sum()] for g in group]) - weight)
    elasticity = rng.normal(-2.2, 0.3, n)
    eta = level + elasticity[:, None] * centred + cross * others + rng.normal(0, 0.15, T)
    units = rng.poisson(np.exp(eta) * rng.gamma(6.0, 1 / 6.0, (n, T))).astype(float)
    panel = panel_of(units, log_price, np.ones((n, T), bool))
    return panel, np.array([f"group {g}" for g in group]), elasticity


def test_promoting_substitutes_together_biases_no_elasticity_where_groups_are_named() -> None:
    covered, errors, without = [], [], []
    for seed in range(4):
        panel, group, elasticity = promoted_together(seed, 1.0)
        panel = with_category_price_index(panel)
        options = NaturalGradientOptions()
        posterior = fit(with_substitute_prices(panel, group), DEFAULT, "negative_binomial", options)
        found = product_summary(posterior)
        covered.append((found.q05 < elasticity) & (elasticity < found.q95))
        k = posterior.control.index(SUBSTITUTE_PRICES)
        errors.append((posterior.weight @ posterior.control_mean)[k] - 1.0)
        one_tau = replace(options, grid_points=1)
        without.append(product_summary(fit(panel, DEFAULT, "negative_binomial", one_tau)).mean - elasticity)
    assert 0.82 < np.mean(covered) < 0.98
    assert np.abs(errors).max() < 0.3
    assert np.mean(without) > 0.3


def test_when_all_prices_move_substitutes_do_not_gain_from_each_other() -> None:
    panel, group, _ = promoted_together(0, 1.0)
    group = np.where(np.arange(24) < 20, group, "")
    panel = with_substitute_prices(with_category_price_index(panel), group)
    posterior = fit(panel, DEFAULT, "negative_binomial", NaturalGradientOptions(grid_points=1))
    alone, grouped = category_move_summary(posterior), category_move_summary(posterior, group != "")
    effect = posterior.control_mean[0, 1]
    np.testing.assert_allclose(grouped.mean - alone.mean, np.where(group != "", effect, 0.0), atol=1e-6)
    assert (grouped.sd[:20] != alone.sd[:20]).all()
