"""Weights of cells: outlying ones count less, correlated ones are shared out, and all else stays as it was."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from elasticity_assets.inference import engines, natural_gradient, weighing
from elasticity_assets.inference.cell_weights import CellWeights, weighed
from elasticity_assets.inference.options import FitOptions, NaturalGradientOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales, some_products
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import DEFAULT, DEFAULT_ZONES, SlowDemand
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets.inference.simulate_zones import ZoneSimulation, simulate_zones
from elasticity_assets.inference.weighing import _run_score, weigh, weigh_zones

SIMULATION = Simulation(products=16, weeks=78, categories=1, level_mean=3.0, log_dispersion_mean=2.5)


@pytest.fixture(scope="module")
def clean() -> Panel:
    return simulated_panels(SIMULATION, seed=3)[0][0]


def elasticities(posterior: CategoryPosterior) -> tuple[np.ndarray, np.ndarray]:
    mean = posterior.weight @ posterior.product_mean
    return mean, np.sqrt(posterior.weight @ (posterior.product_var + (posterior.product_mean - mean) ** 2))


def test_whole_weights_count_like_repeated_cells() -> None:
    """Where every weight is 2, as if all were seen twice, variances nearly halve."""
    panel = simulated_panels(replace(SIMULATION, likelihood="poisson"), seed=1)[0][0]
    options = NaturalGradientOptions(grid_points=1)
    once = natural_gradient.fit(panel, DEFAULT, "poisson", options)
    twice = natural_gradient.fit(replace(panel, weight=2 * panel.weight), DEFAULT, "poisson", options)
    ratio = twice.product_var[0] / once.product_var[0]
    assert np.median(ratio) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("engine", ["natural_gradient", pytest.param("svi", marks=pytest.mark.slow)])
def test_engines_agree_on_weighted_cells(clean: Panel, engine: str) -> None:
    weight = clean.weight * np.random.default_rng(0).choice([0.0, 0.4, 1.0], clean.weight.shape)
    panel = replace(clean, weight=weight.astype(np.float32))
    reference = natural_gradient.fit(panel, DEFAULT, "negative_binomial", NaturalGradientOptions())
    mean, sd = elasticities(reference)
    other = engines.fit(panel, DEFAULT, FitOptions(engine))  # type: ignore[arg-type]
    assert np.abs((elasticities(other)[0] - mean) / sd).max() < (
        1e-6 if engine == "natural_gradient" else 0.5
    )


def test_held_out_units_do_not_matter(clean: Panel) -> None:
    out = np.random.default_rng(0).random(clean.weight.shape) < 0.2
    weight = np.where(out, 0.0, clean.weight).astype(np.float32)
    fits = [
        natural_gradient.fit(
            replace(clean, weight=weight, units=units), DEFAULT, "negative_binomial", NaturalGradientOptions()
        )
        for units in (clean.units, np.where(out, 1e4, clean.units).astype(np.float32))
    ]
    np.testing.assert_array_equal(fits[0].product_mean, fits[1].product_mean)


def test_clean_sales_keep_nearly_all_their_weight(clean: Panel) -> None:
    found = weigh(clean, DEFAULT, "negative_binomial")
    assert len(found.cell_weights.discounted) <= 0.003 * clean.n_obs
    assert 1.0 <= found.cell_weights.serial_correlation_factor < 1.25


@pytest.mark.parametrize("absurd", ["a stock-out", "a typing error"])
def test_an_absurd_week_moves_no_elasticity_by_more_than_its_sd(clean: Panel, absurd: str) -> None:
    options = FitOptions(robust=True)
    mean, sd = elasticities(engines.fit(clean, DEFAULT, options))
    plain_moves, moves = [], []
    for product in range(0, clean.n_products, 3):
        units = clean.units.copy()
        if absurd == "a stock-out":
            units[product, 20:23] = 0.0
        else:
            units[product, 20] = 50.0 * max(units[product, 20], 1.0)
        panel = replace(clean, units=units)
        robust = engines.fit(panel, DEFAULT, options)
        moves.append(abs(elasticities(robust)[0][product] - mean[product]) / sd[product])
        plain = elasticities(engines.fit(panel, DEFAULT))[0][product]
        plain_moves.append(abs(plain - mean[product]) / sd[product])
        if absurd == "a typing error":
            assert [product, 20] in robust.discounted.tolist()
    assert max(moves) < 1.0 < max(plain_moves)


def test_an_absurd_week_in_all_zones_counts_not_and_usual_shocks_do() -> None:
    """The shock of the product's week would take it in, and its cells would look as usual."""
    simulation = ZoneSimulation(
        products=6, zones=8, weeks=52, product_spread=1.0, level_mean=4.0, own_prices=0.0
    )
    panel = simulate_zones(simulation, seed=5)[0]
    clean = weigh_zones(panel, DEFAULT, DEFAULT_ZONES, "negative_binomial", serial_correlation=False)
    assert len(clean.cell_weights.discounted) <= 0.005 * panel.rows.n_obs
    first = np.flatnonzero(panel.product_of_row == 0)
    week = int(np.argmin(panel.rows.centred_log_price()[0, : panel.rows.n_periods]))
    units = panel.rows.units.copy()
    units[first, week] = np.round(units[first, week] * 0.01)
    absurd = replace(panel, rows=replace(panel.rows, units=units))
    found = weigh_zones(absurd, DEFAULT, DEFAULT_ZONES, "negative_binomial", serial_correlation=False)
    weights = found.cell_weights
    of_week = (weights.discounted[:, 1] == week) & np.isin(weights.discounted[:, 0], first)
    np.testing.assert_array_equal(weights.discounted_share[of_week], np.zeros(len(first)))
    assert (~of_week).sum() <= 0.005 * panel.rows.n_obs
    before, after = clean.mode.posterior.products, found.mode.posterior.products
    assert abs(after.product_mean - before.product_mean)[0, 0] < 0.5 * np.sqrt(before.product_var[0, 0])


def test_serial_correlation_widens_intervals_where_prices_stay() -> None:
    factors, covered = {}, {}
    for prices in ("stay", "come and go"):
        factors[prices], covered[prices] = [], []
        for seed in range(4):
            panel, truth = _correlated(prices, seed)
            widened = engines.fit(panel, DEFAULT, FitOptions(serial_correlation=True))
            factors[prices].append(widened.serial_correlation_factor)
            mean, sd = elasticities(widened)
            covered[prices].append(np.abs(mean - truth) < 1.645 * sd)
    assert np.mean(factors["stay"]) > 1.8
    assert np.mean(factors["come and go"]) < 1.3
    # 96 elasticities each: 90% give or take 2.5 standard errors of correlated cases.
    assert all(np.mean(held) > 0.8 for held in covered.values()), covered


def test_serial_correlation_that_slow_demand_holds_widens_nothing() -> None:
    priors, covered = replace(DEFAULT, slow_demand=SlowDemand()), []
    for seed in range(2):
        panel, truth = _correlated("stay", seed)
        posterior = engines.fit(panel, priors, FitOptions(serial_correlation=True))
        assert posterior.serial_correlation_factor < 1.3
        mean, sd = elasticities(posterior)
        covered.append(np.abs(mean - truth) < 1.645 * sd)
    assert np.mean(covered) > 0.78  # of 48 elasticities: 90% less 2.7 standard errors


def test_weighed_divides_and_discounts(clean: Panel) -> None:
    panel = weighed(clean, CellWeights(2.0, np.array([[1, 4], [3, 0]]), np.array([0.0, 0.5])))
    assert panel.weight[1, 4] == 0.0
    assert panel.weight[3, 0] == pytest.approx(0.25)
    assert panel.weight[0, 0] == pytest.approx(0.5)
    assert not panel.weight[~panel.observed].any()


def _correlated(prices: str, seed: int, n: int = 24, T: int = 78) -> tuple[Panel, np.ndarray]:
    """Sales with log-normal noise whose neighbouring weeks correlate by 0.8."""
    rng = np.random.default_rng(seed)
    if prices == "stay":
        log_price = np.cumsum(rng.normal(0.0, 0.12, (n, T)) * (rng.random((n, T)) < 1 / 13), axis=1)
    else:
        log_price = np.where(rng.random((n, T)) < 0.2, np.log1p(-rng.uniform(0.1, 0.5, (n, T))), 0.0)
    noise = np.zeros((n, T))
    noise[:, 0] = rng.normal(0.0, 0.4, n)
    for t in range(1, T):
        noise[:, t] = 0.8 * noise[:, t - 1] + 0.6 * rng.normal(0.0, 0.4, n)
    truth = rng.normal(-2.0, 0.5, n)
    eta = rng.normal(3.0, 1.0, (n, 1)) + truth[:, None] * log_price + noise + rng.normal(0.0, 0.2, T)
    product, week = np.nonzero(np.ones((n, T)))
    return panel_from_sales(
        CategorySales(
            "correlated",
            np.char.add("p", np.char.zfill(product.astype(str), 3)),
            np.datetime64("2023-01-02") + 7 * week,
            rng.poisson(np.exp(eta))[product, week],
            np.exp(log_price)[product, week],
        )
    ), truth


def test_weeks_without_a_sale_are_taken_together() -> None:
    nothing = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 0]], bool)
    expected = [[2, 2, 0, 1, 0], [0, 3, 3, 3, 0]]
    np.testing.assert_allclose(
        _run_score(np.full((2, 5), np.log(0.01)), nothing),
        np.where(nothing, norm.isf(5 * 0.01 ** np.array(expected, float)), 0.0),
    )


def test_products_that_seldom_sell_keep_their_zeros() -> None:
    for level in (-2.5, -1.2):
        simulation = replace(SIMULATION, products=20, weeks=104, level_mean=level, level_spread=0.3)
        panel = simulated_panels(simulation, seed=1)[0][0]
        found = weigh(panel, DEFAULT, "negative_binomial")
        assert len(found.cell_weights.discounted) < 0.005 * panel.n_obs


def test_poisson_keeps_what_the_negative_binomial_finds_ordinary() -> None:
    varied = simulated_panels(replace(SIMULATION, log_dispersion_mean=1.0), seed=3)[0][0]
    found = weigh(varied, DEFAULT, "poisson")
    assert len(found.cell_weights.discounted) < 0.005 * varied.n_obs
    assert found.mode.posterior.diagnostics.likelihood == "poisson"


def test_a_long_stock_out_counts_less_and_an_ordinary_week_without_a_sale_does_not() -> None:
    panel = simulated_panels(
        replace(SIMULATION, level_mean=2.0, level_spread=0.3, log_dispersion_mean=1.0), seed=2
    )[0][0]
    natural = weigh(panel, DEFAULT, "negative_binomial").cell_weights.discounted
    assert len(natural) < 0.01 * panel.n_obs
    units = panel.units.copy()
    units[:4, 30:36] = 0.0
    found = weigh(replace(panel, units=units), DEFAULT, "negative_binomial").cell_weights.discounted.tolist()
    assert all([product, week] in found for product in range(4) for week in range(30, 36))


@pytest.mark.parametrize("happened", ["an ordinary week", "an absurd week", "an old week corrected"])
def test_from_an_earlier_fit_the_same_is_found(clean: Panel, happened: str) -> None:
    """A week more: where it is ordinary one look is enough."""
    last = clean.n_periods - 1
    units = clean.units.copy()
    units[5, 30] = 50.0 * units[5].max()
    older = replace(clean, units=units)
    if happened == "an absurd week":
        units = units.copy()
        units[3, last] = 50.0 * units[3].max()
    elif happened == "an old week corrected":
        units = clean.units
    panel, options = replace(clean, units=units), FitOptions(robust=True)
    start = engines.fit(_without_last_period(older), DEFAULT, options)
    assert [5, 30] in start.discounted.tolist()
    cold, warm = (engines.fit(panel, DEFAULT, options, start=s) for s in (None, start))
    assert ([3, last] in warm.discounted.tolist()) == (happened == "an absurd week")
    assert ([5, 30] in warm.discounted.tolist()) == (happened != "an old week corrected")
    np.testing.assert_array_equal(warm.discounted, cold.discounted)
    np.testing.assert_allclose(warm.discounted_share, cold.discounted_share, atol=0.02)
    mean, sd = elasticities(cold)
    assert np.abs((elasticities(warm)[0] - mean) / sd).max() < options.natural_gradient.tolerance
    if happened == "an ordinary week":
        assert warm.diagnostics.iterations <= cold.diagnostics.iterations / 2


def test_a_new_outlying_week_does_not_begin_the_search_afresh(
    clean: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = clean.units.copy()
    units[3, clean.n_periods - 1] = 50.0 * units[3].max()
    panel, options = replace(clean, units=units), FitOptions(robust=True)
    start = engines.fit(_without_last_period(clean), DEFAULT, options)
    cold = engines.fit(panel, DEFAULT, options)
    # No thresholds of a first round, which a search afresh would begin with.
    monkeypatch.setattr(weighing, "_ROUNDS", ((), *weighing._ROUNDS[1:]))
    warm = engines.fit(panel, DEFAULT, options, start=start)
    np.testing.assert_array_equal(warm.discounted, cold.discounted)
    with pytest.raises(ValueError, match="requested shape"):
        engines.fit(panel, DEFAULT, options)


def test_new_products_are_looked_at_harder(clean: Panel) -> None:
    """An absurd cell of a product without an earlier dispersion could hide behind the one that it brings about."""
    options = FitOptions(robust=True)
    start = engines.fit(some_products(clean, clean.n_products - 1, seed=0), DEFAULT, options)
    (new,) = np.flatnonzero(~np.isin(clean.product, start.product))
    units = clean.units.copy()
    units[new, 20] = 20.0 * units[new].max()
    warm = engines.fit(replace(clean, units=units), DEFAULT, options, start=start)
    assert [new, 20] in warm.discounted.tolist()


def _without_last_period(panel: Panel) -> Panel:
    weight, observed = panel.weight.copy(), panel.observed.copy()
    weight[:, panel.n_periods - 1], observed[:, panel.n_periods - 1] = 0.0, False
    return replace(panel, period=panel.period[:-1], weight=weight, observed=observed)
