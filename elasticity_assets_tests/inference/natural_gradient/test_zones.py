"""Products in zones: one pass against a dense float64 reference, one zone against the arrow, and known truth."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import null_space

from elasticity_assets.inference import engines
from elasticity_assets.inference.cell_weights import weighed
from elasticity_assets.inference.natural_gradient import engine
from elasticity_assets.inference.natural_gradient.zones.engine import Problem, fit
from elasticity_assets.inference.natural_gradient.zones.one_pass import one_pass
from elasticity_assets.inference.natural_gradient.zones.pace import Pace
from elasticity_assets.inference.natural_gradient.zones.result import over_all_zones
from elasticity_assets.inference.natural_gradient.zones.state import State, layout_of
from elasticity_assets.inference.natural_gradient.zones.tiles import Tiling, tile_size
from elasticity_assets.inference.options import FitOptions, NaturalGradientOptions
from elasticity_assets.inference.panel import CategorySales
from elasticity_assets.inference.posterior import summarize
from elasticity_assets.inference.priors import (
    DEFAULT,
    ONE_ZONE,
    Fixed,
    Season,
    SlowDemand,
    Zones,
)
from elasticity_assets.inference.serial_correlation import zoned_serial_correlation_factor
from elasticity_assets.inference.simulate_zones import ZoneSimulation, simulate_zones
from elasticity_assets.inference.zoned_panel import ZonedPanel, zoned_panel_from_sales

PRIORS = replace(DEFAULT, slow_demand=SlowDemand(), season=Season(least_days=0))


def draw(present: np.ndarray, T: int, K: int, seed: int = 0) -> ZonedPanel:
    """Sales of products in the zones where they are `present`, (n, Z), some cells missing; zones have one covariate."""
    rng = np.random.default_rng(seed)
    n, Z = present.shape
    cell = present[:, :, None] & (rng.random((n, Z, T)) < 0.9)
    product, zone, period = np.nonzero(cell)
    price = np.exp(rng.normal(0.0, 0.2, (n, Z, T)) + rng.normal(1.0, 0.3, (n, 1, 1)))[cell]
    codes = np.array([f"p{i}" for i in range(n)]), np.array([f"z{z}" for z in range(Z)])
    sales = CategorySales(
        "category",
        codes[0][product],
        np.datetime64("2024-01-01") + 7 * period,
        rng.poisson(5.0, len(period)).astype(float),
        price,
        {f"control_{k}": rng.normal(0.0, 0.5, len(period)) for k in range(K)},
    )
    return zoned_panel_from_sales(sales, codes[1][zone], {"size": {f"z{z}": float(z % 3) for z in range(Z)}})


def somewhere(problem: Problem, seed: int = 1) -> State:
    """A state off the start, with scales of some size."""
    rng = np.random.default_rng(seed)
    start, tiling = problem.start(), problem.tiling

    def noise(like: np.ndarray, size: float) -> np.ndarray:
        return (size * rng.standard_normal(like.shape)).astype(np.float32)

    layout = layout_of(tiling.tiles, tiling.common)
    shared = start.shared + noise(start.shared, 0.05)
    shared[layout.period] = np.where(problem.hyper.is_period[layout.period] > 0, shared[layout.period], 0.0)
    own = shared[layout.period][: tiling.panel.rows.n_periods]
    own -= own.mean()
    shared[layout.zone][tiling.panel.n_zones :] = 0.0
    log_sd = np.log(np.full_like(start.log_sd, 0.3)) + noise(start.log_sd, 0.1)
    return start._replace(
        theta=start.theta + noise(start.theta, 0.05) * tiling.tiles.real[:, None],
        slope=noise(start.slope, 0.1),
        season=noise(start.season, 0.05),
        periods=noise(start.periods, 0.05),
        shared=shared,
        log_sd=log_sd,
        log_scale=np.log(np.array([0.6, 0.3, 0.2, 1.1, 0.15, 0.4, 0.5], np.float32)),
        slow_common=start.slow_common._replace(logit_persistence=np.float32(0.8)),
    )


def test_a_newton_step_and_all_covariances_equal_a_dense_reference() -> None:
    # One product in so many zones that it takes several tiles, one in a few, one in a single zone.
    zone = np.arange(20)
    panel = draw(np.stack([zone >= 0, zone % 7 == 3, zone == 5]), T=7, K=2)
    assert tile_size(panel.product_of_row, 3) == 8
    problem = Problem(panel, PRIORS, Zones(), "poisson", 10)
    state = somewhere(problem)
    step = jax.jit(partial(one_pass, family=problem.family))
    new, found, spreads = jax.device_get(
        step(
            problem.tiling.tiles,
            problem.tiling.common,
            problem.hyper,
            jax.tree.map(jnp.asarray, state),
            jnp.zeros(()),
            jnp.asarray(True),  # where the variance is 0, a Newton step with exact covariances
            Pace.first(jax.tree.map(jnp.asarray, state)),
        )
    )
    tiling, _layout = problem.tiling, layout_of(problem.tiling.tiles, problem.tiling.common)
    dense = Dense(problem, state)
    mean, cov = dense.step()
    # Steps.
    of_row = dense.rows(mean)
    moved = tiling.by_row(new.theta - state.theta)
    np.testing.assert_allclose(moved, of_row, atol=2e-4)
    n, T = panel.n_products, panel.rows.n_periods
    own = mean[dense.own].reshape(n, -1)
    np.testing.assert_allclose((new.slope - state.slope)[:n], own[:, 0], atol=2e-4)
    np.testing.assert_allclose((new.season - state.season)[:n], own[:, 1:3], atol=2e-4)
    np.testing.assert_allclose((new.periods - state.periods)[:n, :T], own[:, 3 : 3 + T], atol=2e-4)
    real = dense.real_shared
    np.testing.assert_allclose((new.shared - state.shared)[real], mean[dense.shared], atol=2e-4)
    # Covariances.
    np.testing.assert_allclose(found.shared_var[real], np.diagonal(cov)[dense.shared], rtol=2e-3, atol=1e-7)
    eta_var = np.einsum("ca,ab,cb->c", dense.design, cov, dense.design)
    observed = tiling.by_row(tiling.tiles.weight).T > 0
    np.testing.assert_allclose(tiling.by_row(new.var).T[observed], eta_var, rtol=2e-3)
    row = dense.row_slopes()
    np.testing.assert_allclose(tiling.by_row(spreads.row), np.einsum("ra,ab,rb->r", row, cov, row), rtol=2e-3)
    beta_c = np.zeros(len(cov))
    beta_c[dense.shared.start] = 1.0
    np.testing.assert_allclose(tiling.by_row(spreads.row_category), row @ cov @ beta_c, rtol=2e-3)
    product = dense.product_slopes()
    np.testing.assert_allclose(
        spreads.product[:n], np.einsum("ra,ab,rb->r", product, cov, product), rtol=2e-3
    )
    together = np.zeros_like(product)
    np.add.at(together, panel.product_of_row, panel.share_of_units()[:, None] * row)
    np.testing.assert_allclose(
        spreads.together[:n], np.einsum("ra,ab,rb->r", together, cov, together), rtol=2e-3
    )
    np.testing.assert_allclose(
        spreads.together_lead[:n],
        (together @ cov)[:, dense.shared][:, : dense.lead],
        rtol=2e-3,
        atol=1e-5,
    )
    zone = dense.zone_slopes()
    np.testing.assert_allclose(
        spreads.zone[: panel.n_zones], np.einsum("ra,ab,rb->r", zone, cov, zone), rtol=2e-3
    )


class Dense:
    """All effects at once: (e, l) a row, (slope, season, a) a product, then s without padding."""

    def __init__(self, problem: Problem, state: State) -> None:
        tiling, hyper = problem.tiling, problem.hyper
        panel, layout = tiling.panel, layout_of(tiling.tiles, tiling.common)
        R, n, T, Z = panel.n_rows, panel.n_products, panel.rows.n_periods, panel.n_zones
        rows = panel.rows
        self.own = slice(2 * R, 2 * R + n * (3 + T))
        lead = layout.zone.start
        self.shared = slice(self.own.stop, self.own.stop + lead + Z + T)
        self.real_shared = np.r_[
            0:lead, layout.zone.start : layout.zone.start + Z, layout.period.start : layout.period.start + T
        ]
        self.panel, self.lead = panel, lead
        season = tiling.common.season[:, :T]
        price, size = rows.centred_log_price(), self.shared.stop
        row, period = np.nonzero(rows.observed[:R, :T])
        product, zone = panel.product_of_row[row], panel.zone_of_row[row]
        cells = np.arange(len(row))
        x = price[row, period].astype(float)
        design = np.zeros((len(row), size))
        design[cells, 2 * row], design[cells, 2 * row + 1] = x, 1.0
        first = self.own.start + product * (3 + T)
        design[cells, first] = x
        design[cells, first + 1], design[cells, first + 2] = season[:, period]
        design[cells, first + 3 + period] = 1.0
        s = self.shared.start
        design[cells, s], design[cells, s + 1] = x, 1.0
        design[cells, s + 2] = x * panel.covariates[zone, 0]
        design[:, s + 3 : s + lead] = rows.controls[row, period]
        design[cells, s + lead + zone] = x
        design[cells, s + lead + Z + period] = 1.0
        self.design = design
        sd = np.exp(state.log_scale.astype(float))
        tau, row_sd, zone_sd, level_sd, season_sd, period_sd, _ = sd
        prior = np.zeros((size, size))
        at = np.arange(R)
        prior[2 * at, 2 * at], prior[2 * at + 1, 2 * at + 1] = row_sd**2, level_sd**2
        phi = 1.0 / (1.0 + np.exp(-float(state.slow_common.logit_persistence)))
        lag = np.abs(np.arange(T)[:, None] - np.arange(T))
        for i in range(n):
            at = self.own.start + i * (3 + T)
            prior[at, at] = tau**2
            prior[at + 1, at + 1] = prior[at + 2, at + 2] = season_sd**2
            slow, shock = np.exp(2.0 * state.log_sd[:, i].astype(float))
            prior[at + 3 : at + 3 + T, at + 3 : at + 3 + T] = slow * phi**lag + shock * np.eye(T)
        var = hyper.shared_var[:lead].astype(float)
        var[1] += period_sd**2 / T
        prior[self.shared, self.shared] = np.diag(
            np.concatenate([var, np.full(Z, zone_sd**2), np.full(T, period_sd**2)])
        )
        self.precision = np.linalg.inv(prior)
        prior_mean = np.zeros(size)
        prior_mean[self.shared][:lead] = hyper.shared_mean[:lead]
        theta = tiling.by_row(state.theta)
        at_state = np.zeros(size)
        at_state[: 2 * R] = theta.T.ravel()
        at_state[self.own] = np.concatenate(
            [state.slope[:n, None], state.season[:n], state.periods[:n, :T]], axis=1
        ).ravel()
        at_state[self.shared] = state.shared[self.real_shared]
        eta = design @ at_state
        self.gradient = design.T @ (rows.units[row, period] - np.exp(eta))
        self.gradient = self.gradient - self.precision @ (at_state - prior_mean)
        self.hessian = self.precision + design.T @ (np.exp(eta)[:, None] * design)
        free = np.eye(size)
        self.free = np.concatenate(
            [free[:, : size - T], free[:, size - T :] @ null_space(np.ones((1, T)))], axis=1
        )

    def step(self) -> tuple[np.ndarray, np.ndarray]:
        """Newton step and covariance where gamma sums to zero."""
        cov = self.free @ np.linalg.solve(self.free.T @ self.hessian @ self.free, self.free.T)
        return cov @ self.gradient, cov

    def rows(self, values: np.ndarray) -> np.ndarray:
        """(e, l) of rows, (2, R)."""
        return values[: 2 * self.panel.n_rows].reshape(-1, 2).T

    def zone_slopes(self) -> np.ndarray:
        """b_z as sums of all effects."""
        Z = self.panel.n_zones
        found = np.zeros((Z, len(self.hessian)))
        found[:, self.shared.start + 2] = self.panel.covariates[:, 0]
        found[np.arange(Z), self.shared.start + self.lead + np.arange(Z)] = 1.0
        return found

    def product_slopes(self) -> np.ndarray:
        """beta_i as sums of all effects."""
        n, T = self.panel.n_products, self.panel.rows.n_periods
        found = np.zeros((n, len(self.hessian)))
        found[np.arange(n), self.own.start + np.arange(n) * (3 + T)] = 1.0
        found[:, self.shared.start] = 1.0
        return found

    def row_slopes(self) -> np.ndarray:
        """beta_iz as sums of all effects."""
        panel = self.panel
        found = self.product_slopes()[panel.product_of_row] + self.zone_slopes()[panel.zone_of_row]
        found[np.arange(panel.n_rows), 2 * np.arange(panel.n_rows)] = 1.0
        return found


def test_tiles_waste_little() -> None:
    of_zones = partial(np.repeat, np.arange(5))
    assert tile_size(of_zones(12), 5) == 16
    assert tile_size(of_zones(80), 5) == 16
    assert tile_size(of_zones(700), 5) == 64
    panel = draw(np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0]], bool), T=4, K=0)
    tiling = Tiling.cut(panel, DEFAULT)
    np.testing.assert_array_equal(
        tiling.by_row(tiling.tiles.units)[:4].T, panel.rows.units[: panel.n_rows, :4]
    )
    np.testing.assert_array_equal(tiling.by_row(tiling.tiles.zone), panel.zone_of_row)
    with pytest.raises(ValueError, match="centred"):
        Tiling.cut(panel, replace(DEFAULT, centred_price=False))


SMALL = ZoneSimulation(products=6, zones=8, weeks=52, slow_demand_sd=0.0)


def test_one_zone_gives_the_numbers_of_the_arrow_without_zones() -> None:
    panel, _ = simulate_zones(replace(SMALL, zones=1), seed=2)
    priors = replace(
        DEFAULT,
        product_spread=Fixed(0.5),
        level_spread=Fixed(1.0),
        period_spread=Fixed(0.2),
        log_dispersion_spread=Fixed(0.3),
    )
    options = NaturalGradientOptions(tolerance=1e-4)
    zoned = fit(panel, priors, ONE_ZONE, "negative_binomial", options)
    alone = engine.fit(panel.rows, priors, "negative_binomial", options)
    found = zoned.products
    assert found.diagnostics.converged
    sd = np.sqrt(alone.product_var[0])
    np.testing.assert_array_less(np.abs(found.product_mean - alone.product_mean)[0], 1e-3 * sd)
    np.testing.assert_allclose(np.sqrt(found.product_var[0]), sd, rtol=1e-3)
    np.testing.assert_allclose(found.product_gain, alone.product_gain, atol=1e-3)
    assert abs(found.category_mean[0] - alone.category_mean[0]) < 1e-3 * np.sqrt(alone.category_var[0])
    np.testing.assert_allclose(found.level, alone.level, atol=1e-3)
    np.testing.assert_allclose(found.period_effect, alone.period_effect, atol=1e-3)
    np.testing.assert_allclose(np.log(found.dispersion / alone.dispersion), 0.0, atol=0.02)
    assert abs(found.diagnostics.elbo - alone.diagnostics.elbo) < 0.05
    np.testing.assert_allclose(zoned.row_mean, found.product_mean, atol=1e-5)
    np.testing.assert_allclose(zoned.row_var, found.product_var, rtol=1e-4)


def test_shocks_of_a_products_week_count_once_and_elasticities_are_found() -> None:
    # One price everywhere: a product's slope is known from weeks alone, however many zones there are.
    panel, truth = simulate_zones(replace(SMALL, own_prices=0.0, level_mean=4.0), seed=5)
    options = NaturalGradientOptions(grid_points=3)
    found = fit(panel, DEFAULT, Zones(), "negative_binomial", options)
    blind = fit(panel, DEFAULT, Zones(shocks=False), "negative_binomial", options)
    right, wrong = (summarize(fit.products.weight, fit.usual_mean, fit.usual_var) for fit in (found, blind))
    error = right.mean - truth.product
    assert np.sqrt(np.mean((error / right.sd) ** 2)) < 1.6
    assert right.sd.mean() > 1.5 * wrong.sd.mean()
    again = fit(panel, DEFAULT, Zones(), "negative_binomial", options, start=found)
    assert again.products.diagnostics.iterations < found.products.diagnostics.iterations
    means, again_means = (fit.products.weight @ fit.row_mean for fit in (found, again))
    np.testing.assert_array_less(np.abs(again_means - means), 0.05 * np.sqrt(found.row_var.min(axis=0)))
    assert 0.2 < found.shock_sd.mean() < 0.4
    rows = summarize(found.products.weight, found.row_mean, found.row_var)
    held = (rows.q05 <= truth.row) & (truth.row <= rows.q95)
    assert held.mean() > 0.75


def test_outlying_weeks_of_a_row_count_less_and_are_known_again() -> None:
    panel, _ = simulate_zones(SMALL, seed=5)
    units = panel.rows.units.copy()
    units[3, 20] = 50.0 * units[3].max()
    panel = replace(panel, rows=replace(panel.rows, units=units))
    options = FitOptions(
        robust=True, serial_correlation=True, natural_gradient=NaturalGradientOptions(grid_points=3)
    )
    found = engines.fit_zones(panel, DEFAULT, options)
    assert found.discounted.tolist() == [[3, 20]]
    assert found.discounted_share[0] < 0.01
    assert found.products.serial_correlation_factor == 1.0
    assert found.products.diagnostics.converged
    # What does not count in a zone does not count in what its units weigh in the product either.
    counted = replace(panel, rows=weighed(panel.rows, found.cell_weights()))
    expected = np.zeros(found.products.product_mean.shape)
    np.add.at(expected.T, panel.product_of_row, (counted.share_of_units() * found.row_mean).T)
    np.testing.assert_allclose(found.products.product_mean, expected, rtol=1e-4)
    again = engines.fit_zones(panel, DEFAULT, options, start=found)
    np.testing.assert_array_equal(again.discounted, found.discounted)
    assert again.products.diagnostics.iterations < 0.7 * found.products.diagnostics.iterations
    means, again_means = (fit.products.weight @ fit.row_mean for fit in (found, again))
    np.testing.assert_array_less(np.abs(again_means - means), 0.05 * np.sqrt(found.row_var.min(axis=0)))
    with pytest.raises(ValueError, match="use natural_gradient"):
        engines.fit_zones(panel, DEFAULT, FitOptions(engine="nuts"))


@pytest.mark.parametrize("chain", [False, True])
def test_what_drifts_in_a_row_widens_intervals_where_its_own_prices_stay(*, chain: bool) -> None:
    panel = _drifting(SMALL, chain=chain)
    problem = Problem(panel, DEFAULT, Zones(), "negative_binomial", 200)
    mode = problem.mode(NaturalGradientOptions(grid_points=1))
    factor = zoned_serial_correlation_factor(mode, panel, "negative_binomial")
    assert (factor > 1.5) != chain  # the chain's prices meet what drifts in all zones together, which cancels


def _drifting(shape: ZoneSimulation, *, chain: bool) -> ZonedPanel:
    """Sales whose demand drifts by row (AR .9), at prices that stay for a quarter, the chain's or a zone's own."""
    rng = np.random.default_rng(0)
    n, Z, T = shape.products, shape.zones, shape.weeks
    drift = rng.normal(0.0, 1.0, (n, Z, T))
    for t in range(1, T):
        drift[:, :, t] = 0.9 * drift[:, :, t - 1] + np.sqrt(1.0 - 0.9**2) * drift[:, :, t]
    steps = rng.normal(0.0, 0.15, (n, Z, T)) * (rng.random((n, Z, T)) < 1 / 13)
    log_price = np.cumsum(np.broadcast_to(steps[:, :1], (n, Z, T)) if chain else steps, axis=2)
    eta = 3.0 + rng.normal(-2.0, 0.5, (n, 1, 1)) * log_price + 0.4 * drift + rng.normal(0.0, 0.2, (n, 1, T))
    product, zone, period = np.nonzero(np.ones((n, Z, T)))
    sales = CategorySales(
        "drifting",
        product.astype(str),
        np.datetime64("2023-01-02") + 7 * period,
        rng.poisson(np.exp(eta)).ravel().astype(float),
        np.exp(log_price).ravel(),
    )
    return zoned_panel_from_sales(sales, zone.astype(str), {"size": {str(z): float(z % 3) for z in range(Z)}})


def test_units_of_all_zones_together_have_their_mean_and_dispersion() -> None:
    rng = np.random.default_rng(0)
    level, size, shock = (
        np.array([1.0, 2.0, 3.0, 1.5]),
        np.array([2.0, 5.0, 20.0, np.inf]),
        np.array([0.2, 0.0]),
    )
    product = np.array([0, 0, 0, 1])
    found = over_all_zones(level, size, shock, product)
    common = np.exp(shock[0] * rng.standard_normal((200_000, 1)))
    units = rng.poisson(common * np.exp(level[:3]) * rng.gamma(size[:3], 1 / size[:3], (200_000, 3))).sum(
        axis=1
    )
    mean = units.mean()
    np.testing.assert_allclose(np.exp(found[0]), [mean, np.exp(1.5)], rtol=0.03)
    np.testing.assert_allclose(found[1][0], mean**2 / (units.var() - mean), rtol=0.06)
    assert np.isinf(found[1][1])
