"""The natural-gradient engine: against dense references, simulations, NUTS, and data that hurt."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from elasticity_assets.inference import nuts
from elasticity_assets.inference.natural_gradient import engine, result
from elasticity_assets.inference.natural_gradient.engine import fit, with_arrow_covariances
from elasticity_assets.inference.options import NaturalGradientOptions, NutsOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import CategoryPosterior, summarize
from elasticity_assets.inference.priors import ARTICLE, DEFAULT, Fixed, Priors, Season, SlowDemand
from elasticity_assets.inference.season import sine_and_cosine
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets_tests.support.dense_gaussian import DenseGaussian, dense_gaussian

OPTIONS = NaturalGradientOptions(tolerance=1e-3)
FIXED = replace(
    DEFAULT,
    product_spread=Fixed(0.6),
    level_spread=Fixed(1.2),
    period_spread=Fixed(0.3),
    # A dispersion known in advance, so that the dense reference can have the same.
    log_dispersion_mean=1.0,
    log_dispersion_sd=1e-4,
    log_dispersion_spread=Fixed(1e-3),
)
DRIFTING = replace(DEFAULT, slow_demand=SlowDemand(), season=Season(least_days=0))
FAMILIES = [(likelihood, drop) for likelihood in ("poisson", "negative_binomial") for drop in (False, True)]


def panel_of(
    units: np.ndarray, log_price: np.ndarray, controls: np.ndarray | None = None, *, truncated: bool = False
) -> Panel:
    """A panel of all cells that are not NaN."""
    product, period = np.nonzero(~np.isnan(units))
    names = (
        {}
        if controls is None
        else {f"control_{k}": controls[product, period, k] for k in range(controls.shape[2])}
    )
    return panel_from_sales(
        CategorySales(
            "category",
            np.char.add("p", np.char.zfill(product.astype(str), 3)),
            np.datetime64("2024-01-01") + 7 * period,
            units[product, period],
            np.exp(log_price[product, period]),
            names,
            missing_periods="truncated" if truncated else "unobserved",
        )
    )


def draw(
    n: int = 7, T: int = 12, level: float = 1.0, seed: int = 0, truncated: bool = False, K: int = 2
) -> Panel:
    """Negative binomial sales with some cells missing; the first control hardly varies."""
    rng = np.random.default_rng(seed)
    log_price = 1.0 + rng.normal(0, 0.3, (n, 1)) + rng.normal(0, 0.2, (n, T))
    controls = rng.random((n, T, 2)) * [0.05, 1.0] + [0.5, 0.0]
    eta = rng.normal(level, 1.0, (n, 1)) - 2.0 * (log_price - log_price.mean(1, keepdims=True))
    units = rng.poisson(np.exp(eta + rng.normal(0, 0.3, T)) * rng.gamma(3.0, 1 / 3.0, (n, T))).astype(float)
    units[rng.random((n, T)) < 0.1] = np.nan
    if truncated:
        units[units == 0] = np.nan
    return panel_of(units, log_price, controls[..., :K], truncated=truncated)


def mixture(posterior: CategoryPosterior) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of the products' elasticities."""
    summary = summarize(posterior.weight, posterior.product_mean, posterior.product_var)
    return summary.mean, summary.sd


def assert_equals_dense(posterior: CategoryPosterior, dense: DenseGaussian) -> None:
    sd = np.sqrt(np.diag(dense.cov))
    beta, alpha = dense.beta(), dense.alpha()
    assert posterior.diagnostics.converged
    for mean, places in (
        (posterior.product_mean[0], beta),
        (posterior.category_mean, [0]),
        (posterior.control_mean[0], alpha),
    ):
        assert np.all(np.abs(mean - dense.mean[places]) < 2e-3 * sd[places])
    for var, places in (
        (posterior.product_var[0], beta),
        (posterior.category_var, [0]),
        (posterior.control_var[0], alpha),
    ):
        np.testing.assert_allclose(var, sd[places] ** 2, rtol=1e-3)
    np.testing.assert_allclose(
        posterior.product_gain[0], dense.cov[beta, 0] / dense.cov[0, 0], rtol=2e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        posterior.control_gain[0] * dense.cov[0, 0],
        dense.cov[alpha, 0],
        atol=2e-3 * sd[alpha].max(initial=0) * sd[0],
    )
    np.testing.assert_allclose(
        posterior.product_control_cov[0],
        dense.cov[np.ix_(beta, alpha)],
        atol=2e-3 * sd[alpha].max(initial=0) * sd[beta].max(),
    )
    assert posterior.diagnostics.elbo == pytest.approx(dense.elbo, abs=0.06)


@pytest.mark.parametrize(("likelihood", "truncated"), FAMILIES)
def test_equals_dense_gaussian(likelihood: str, truncated: bool) -> None:
    panel = draw(truncated=truncated)
    posterior = fit(panel, FIXED, likelihood, OPTIONS)
    assert_equals_dense(posterior, dense_gaussian(panel, FIXED, likelihood, np.full(panel.n_products, np.e)))
    eta = posterior.level[:, None] + posterior.period_effect
    assert np.isfinite(eta).all()


@pytest.mark.parametrize(
    ("likelihood", "truncated", "sd"),
    [
        ("negative_binomial", False, 0.4),
        ("negative_binomial", False, 0.01),
        ("poisson", True, 0.4),
        *(
            pytest.param(likelihood, truncated, sd, marks=pytest.mark.slow)
            for likelihood, truncated in FAMILIES
            for sd in (0.4, 0.01)
            if (likelihood, truncated) not in (("negative_binomial", False), ("poisson", True))
        ),
        pytest.param("poisson", True, 0.01, marks=pytest.mark.slow),
    ],
)
def test_slow_demand_and_season_equal_dense_gaussian(likelihood: str, truncated: bool, sd: float) -> None:
    panel = draw(n=20, T=20, level=2.0, truncated=truncated)
    known = SlowDemand(np.log(sd), 1e-3, Fixed(1e-3), 1.0, 1e-3)
    # With seasons where there is something for slow demand to share with them.
    season = Season(Fixed(0.3), least_days=0) if sd > 0.1 else None
    priors = replace(FIXED, slow_demand=known, season=season)
    posterior = fit(panel, priors, likelihood, OPTIONS)
    assert posterior.diagnostics.converged
    dense = dense_gaussian(panel, priors, likelihood, np.full(panel.n_products, np.e))
    found, sds = dense.beta(), np.sqrt(np.diag(dense.cov))
    assert np.abs((posterior.product_mean[0] - dense.mean[found]) / sds[found]).max() < 0.01
    np.testing.assert_allclose(posterior.product_var[0], sds[found] ** 2, rtol=0.01)
    np.testing.assert_allclose(posterior.category_var, sds[:1] ** 2, rtol=0.01)
    np.testing.assert_allclose(posterior.slow_demand, dense.slow_demand(), atol=0.02 * sd)
    if season is not None:
        places = np.stack([dense.beta(1), dense.beta(2)], axis=1)
        assert np.abs((posterior.season - dense.mean[places]) / sds[places]).max() < 0.01
    assert posterior.diagnostics.elbo == pytest.approx(dense.elbo, abs=1.0)


@pytest.mark.parametrize("K", [0, 2])
def test_uncentred_price_and_known_level_as_in_the_article(K: int) -> None:
    panel = draw(K=K)
    assert_equals_dense(fit(panel, ARTICLE, "poisson", OPTIONS), dense_gaussian(panel, ARTICLE, "poisson"))


def test_levels_and_period_effects_predict_sales() -> None:
    panel = draw(level=4.0, T=12)
    for priors in (FIXED, replace(ARTICLE, level_sd=3.0)):
        posterior = fit(panel, priors, "poisson", OPTIONS)
        dense = dense_gaussian(panel, priors, "poisson")
        first = 2 + len(panel.control)
        np.testing.assert_allclose(posterior.period_effect, dense.mean[first : first + 12], atol=3e-3)
        np.testing.assert_allclose(posterior.level, dense.mean[dense.beta() + 1], atol=5e-3)
        assert posterior.level_mean == pytest.approx(dense.mean[1], abs=5e-3)


def test_tau_is_weighted_by_the_evidence() -> None:
    """Weights come from an integrated gradient; here from differences of ELBOs, each of its own fit."""
    panel = draw()
    priors = replace(FIXED, product_spread=DEFAULT.product_spread)
    posterior = fit(panel, priors, "poisson", OPTIONS)
    elbo = [
        dense_gaussian(panel, replace(FIXED, product_spread=Fixed(t)), "poisson").elbo for t in posterior.tau
    ]
    log_density = np.array(elbo) - posterior.tau**2 / 2 + np.log(posterior.tau)
    expected = np.exp(log_density - log_density.max())
    assert len(posterior.tau) > 5
    np.testing.assert_allclose(posterior.weight, expected / expected.sum(), atol=5e-3)
    assert posterior.weight[[0, -1]].max() < 0.02


@pytest.mark.parametrize("likelihood", [pytest.param("poisson", marks=pytest.mark.slow), "negative_binomial"])
def test_recovers_elasticities(likelihood: str) -> None:
    simulation = Simulation(products=240, weeks=32, categories=1, likelihood=likelihood, level_mean=2.0)
    (panel,), truth = simulated_panels(simulation, 5)
    posterior = fit(panel, DEFAULT, likelihood, OPTIONS)
    summary = summarize(posterior.weight, posterior.product_mean, posterior.product_var)
    inside = (summary.q05 < truth.elasticity) & (truth.elasticity < summary.q95)
    assert posterior.diagnostics.converged
    assert 0.84 < inside.mean() < 0.96
    assert posterior.product_spread() == pytest.approx(np.std(truth.elasticity), abs=0.12)
    assert posterior.period_spread == pytest.approx(np.std(truth.period_effect), rel=0.2)
    assert posterior.level_spread == pytest.approx(np.std(truth.level), rel=0.1)
    if likelihood == "negative_binomial":
        assert posterior.log_dispersion_mean == pytest.approx(simulation.log_dispersion_mean, abs=0.2)
        assert posterior.log_dispersion_spread == pytest.approx(simulation.log_dispersion_spread, abs=0.2)


@pytest.mark.parametrize(
    ("priors", "least_of_dispersions"),
    [
        # The dispersions' spread and the scales of slow demand are points, and 8 products say little of them. NUTS
        # integrates over them: its sds of log dispersions are wider, by draws near Poisson.
        (DEFAULT, 0.75),
        pytest.param(DRIFTING, 0.68, marks=pytest.mark.slow),
        pytest.param(
            replace(
                DRIFTING,
                slow_demand=SlowDemand(-2.0, 0.01, Fixed(0.01), 1.4, 0.01),
                log_dispersion_mean=1.5,
                log_dispersion_sd=0.01,
                log_dispersion_spread=Fixed(0.4),
            ),
            0.9,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["default", "drifting", "scales known"],
)
def test_agrees_with_nuts(priors: Priors, least_of_dispersions: float) -> None:
    """By bounds beyond what the draws' chance does."""
    panel = draw(n=8, T=16, level=2.0, K=0)
    # With longer steps and less warm-up a twentieth of the transitions diverged, and means were off.
    options = NutsOptions(warmup=1000, samples=1500, chains=2, target_accept=0.95)
    draws = nuts.sample(panel, priors, "negative_binomial", options)
    beta = draws.elasticity.reshape(-1, panel.n_products)
    posterior = fit(panel, priors, "negative_binomial", OPTIONS)
    mean, sd = mixture(posterior)
    error = (mean - beta.mean(axis=0)) / beta.std(axis=0)
    assert np.sqrt(np.mean(error**2)) < 0.06
    assert 0.93 < np.median(sd / beta.std(axis=0)) < 1.05
    log_r = np.log(draws.dispersion.reshape(-1, panel.n_products))
    away = (np.log(posterior.dispersion) - log_r.mean(axis=0)) / log_r.std(axis=0)
    assert np.abs(away.mean()) < 0.1
    assert least_of_dispersions < np.median(posterior.log_dispersion_sd / log_r.std(axis=0)) < 1.05


@pytest.mark.parametrize("priors", [DEFAULT, DRIFTING])
def test_padding_changes_nothing(priors: Priors) -> None:
    panel = draw()

    def grow(array: np.ndarray) -> np.ndarray:
        """To the shape that other tests have compiled."""
        return np.pad(array, [(0, 24), (0, 8)] + [(0, 0)] * (array.ndim - 2))

    larger = replace(
        panel,
        **{f: grow(getattr(panel, f)) for f in ("units", "log_price", "controls", "observed", "weight")},
    )
    one, other = (fit(p, priors, "negative_binomial", OPTIONS) for p in (panel, larger))
    np.testing.assert_allclose(mixture(one), mixture(other), rtol=2e-3)
    assert one.diagnostics.elbo == pytest.approx(other.diagnostics.elbo, abs=0.05)
    assert one.period_spread == pytest.approx(other.period_spread, rel=1e-2)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_a_new_week_takes_few_passes(likelihood: str) -> None:
    panel = draw(n=8, T=16, level=2.5, K=0)
    known = replace(panel, weight=panel.weight * (np.arange(panel.units.shape[1]) < 15))
    before = fit(known, DEFAULT, likelihood, OPTIONS)
    cold, warm = (fit(panel, DEFAULT, likelihood, OPTIONS, start=start) for start in (None, before))
    mean, sd = mixture(cold)
    assert warm.diagnostics.converged
    assert warm.diagnostics.iterations < cold.diagnostics.iterations
    assert np.abs((mixture(warm)[0] - mean) / sd).max() < 0.02
    again = fit(panel, DEFAULT, likelihood, OPTIONS, start=cold)
    assert again.diagnostics.iterations <= (4 if likelihood == "poisson" else 7)


def test_seasons_are_learned_and_start_the_next_fit() -> None:
    """Two years of seasons unrelated to prices, which the model knows from 78 weeks on."""
    rng = np.random.default_rng(0)
    n, T = 8, 104
    log_price, angle = (
        rng.normal(0, 0.2, (n, T)),
        2 * np.pi * (np.arange(T) - rng.uniform(0, 52, (n, 1))) / 52.18,
    )
    units = rng.poisson(np.exp(3.0 - 2.0 * log_price + 0.6 * np.sin(angle)) * rng.gamma(10.0, 0.1, (n, T)))
    panel, priors = panel_of(units.astype(float), log_price), replace(DRIFTING, season=Season())
    posterior = fit(panel, priors, "negative_binomial", OPTIONS)
    found = posterior.season @ sine_and_cosine(panel.period)
    np.testing.assert_allclose(found - found.mean(), 0.6 * np.sin(angle), atol=0.25)
    assert 0.3 < posterior.season_spread < 0.6
    again = fit(panel, priors, "negative_binomial", OPTIONS, start=posterior)
    assert again.diagnostics.iterations < 0.5 * posterior.diagnostics.iterations
    short = panel_of(units[:, :77].astype(float), log_price[:, :77])
    assert not engine.Problem(short, priors, "negative_binomial", OPTIONS.max_passes).rows.season.size


def test_start_matches_products_and_periods_by_name() -> None:
    panel = draw(n=8, T=16, level=2.5, K=0)
    fewer = panel_of(
        np.where(panel.observed, panel.units, np.nan)[1 : panel.n_products, 1 : panel.n_periods],
        panel.log_price[1 : panel.n_products, 1 : panel.n_periods],
    )
    fewer = replace(fewer, product=panel.product[1:], period=panel.period[1:])
    earlier = fit(fewer, DEFAULT, "poisson", OPTIONS)
    cold, warm = (fit(panel, DEFAULT, "poisson", OPTIONS, start=s) for s in (None, earlier))
    mean, sd = mixture(cold)
    assert warm.diagnostics.converged
    assert np.abs((mixture(warm)[0] - mean) / sd).max() < 0.02


def test_covariances_for_other_engines() -> None:
    panel = draw()
    whole = fit(panel, FIXED, "negative_binomial", OPTIONS)
    blind = replace(
        whole,
        category_var=np.ones(1),
        product_var=np.ones_like(whole.product_var),
        product_gain=np.zeros_like(whole.product_gain),
        control_cov=np.ones_like(whole.control_cov),
        control_gain=np.zeros_like(whole.control_gain),
        product_control_cov=np.zeros_like(whole.product_control_cov),
    )
    again = with_arrow_covariances(blind, panel, FIXED, "negative_binomial")
    for name in (
        "category_var",
        "product_var",
        "product_gain",
        "control_cov",
        "control_gain",
        "product_control_cov",
    ):
        np.testing.assert_allclose(getattr(again, name), getattr(whole, name), rtol=2e-3, atol=1e-5)
    assert (again.product_mean == whole.product_mean).all()


def sales(
    n: int, T: int, level: float, rng: np.random.Generator, price_sd: float = 0.15
) -> tuple[np.ndarray, np.ndarray]:
    """Units and log prices of n products, elasticities near -2."""
    log_price = rng.normal(0, price_sd, (n, T))
    eta = rng.normal(level, 0.5, (n, 1)) + rng.normal(-2, 0.5, (n, 1)) * log_price
    return rng.poisson(np.exp(eta)).astype(float), log_price


def hard_panels() -> dict[str, Panel]:
    rng = np.random.default_rng(1)
    units, log_price = sales(8, 16, 2.0, rng)
    unsold, one_price, unequal = units.copy(), log_price.copy(), units.copy()
    unsold[[0, 3]] = 0.0
    one_price[[0, 3]] = 0.0
    unequal[0] *= 1e6
    return {
        "one product": panel_of(units[:1], log_price[:1]),
        "one week": panel_of(units[:, :1], log_price[:, :1]),
        "one cell": panel_of(units[:1, :1], log_price[:1, :1]),
        "two products without sales": panel_of(unsold, log_price),
        "two products with one price": panel_of(units, one_price),
        "one price for all": panel_of(units, np.zeros_like(log_price)),
        "ten million units": panel_of(*sales(8, 16, 16.0, rng)),
        "0.3 units": panel_of(*sales(8, 16, -1.2, rng)),
        "fractional units": panel_of(units * 0.137, log_price),
        "very unequal volumes": panel_of(unequal, log_price),
        "huge price range": panel_of(*sales(8, 16, 2.0, rng, price_sd=1.5)),
    }


ONE_WEEK = ("one week", "one cell")  # of a shape, and so a program, of their own


@pytest.mark.parametrize(
    ("case", "likelihood"),
    [
        pytest.param(
            case,
            likelihood,
            marks=[pytest.mark.slow] if case in ONE_WEEK and likelihood == "poisson" else [],
        )
        for case in hard_panels()
        for likelihood in ("poisson", "negative_binomial")
    ],
)
def test_hard_data(case: str, likelihood: str) -> None:
    panel = hard_panels()[case]
    posterior = fit(panel, DEFAULT, likelihood, OPTIONS)
    assert posterior.diagnostics.converged, posterior.diagnostics.warnings
    mean, sd = mixture(posterior)
    assert np.isfinite(mean).all()
    assert (sd > 0).all()
    if case in ("two products with one price", "one price for all"):
        # Without price variation a product has its category's elasticity, and tau's uncertainty.
        product = replace(
            posterior, product_mean=posterior.product_mean[:, :1], product_var=posterior.product_var[:, :1]
        )
        np.testing.assert_allclose(product.product_mean[:, 0], posterior.category_mean, atol=2e-3)
        np.testing.assert_allclose(
            product.product_var[:, 0], posterior.category_var + posterior.tau**2, rtol=5e-3
        )
        np.testing.assert_allclose(posterior.product_gain[:, 0], 1.0, atol=1e-3)
    elif case not in (*ONE_WEEK, "0.3 units"):
        assert np.abs(mean + 2.0).max() < 2.5


def test_says_so_where_it_does_not_converge() -> None:
    posterior = fit(draw(), DEFAULT, "negative_binomial", replace(OPTIONS, tolerance=0.0))
    assert not posterior.diagnostics.converged
    assert "not converged" in posterior.diagnostics.warnings[0]


def test_units_beyond_float32_are_reported() -> None:
    units, log_price = sales(8, 16, 2.0, np.random.default_rng(0))
    units[0, 0] = 1e35
    posterior = fit(panel_of(units, log_price), DEFAULT, "poisson", OPTIONS)
    assert not posterior.diagnostics.converged
    assert "float32" in posterior.diagnostics.warnings[0]


def test_bad_start() -> None:
    panel = draw()
    good = fit(panel, DEFAULT, "poisson", OPTIONS)
    bad = replace(
        good,
        level=good.level + np.where(np.arange(len(good.level)) % 2, 6.0, -6.0),
        product_mean=good.product_mean + 8.0,
        period_spread=1e-3,
        level_spread=20.0,
        tau=good.tau * 10,
    )
    again = fit(panel, DEFAULT, "poisson", OPTIONS, start=bad)
    mean, sd = mixture(good)
    assert again.diagnostics.converged
    assert np.abs((mixture(again)[0] - mean) / sd).max() < 0.02


def test_reports_progress_and_the_trace_settles() -> None:
    seen: list[tuple[int, float]] = []
    posterior = fit(draw(), DEFAULT, "poisson", OPTIONS, on_progress=lambda *state: seen.append(state))
    assert len(seen) == len(posterior.tau)
    assert seen[0][0] == posterior.diagnostics.iterations
    assert 2 <= len(posterior.trace) < posterior.diagnostics.iterations
    assert posterior.trace[-1] == pytest.approx(posterior.diagnostics.elbo)
    # The first passes leave out eta's variance, and have no ELBO.
    assert np.isfinite(posterior.trace).all()
    assert abs(posterior.trace[-1] - posterior.trace[-2]) < 0.2


def test_a_category_that_began_late() -> None:
    """Periods without this category's sales: their effects still sum to zero with the others', cold or warm."""
    panel = draw(n=8, T=16, level=2.5, K=0)
    late = replace(panel, weight=panel.weight * (np.arange(panel.units.shape[1]) >= 8))
    start = engine.Problem(late, DEFAULT, "poisson", OPTIONS.max_passes).start(None)
    assert np.abs(start.shared[2:].sum()) < 1e-4
    cold = fit(late, DEFAULT, "poisson", OPTIONS)
    warm = fit(late, DEFAULT, "poisson", OPTIONS, start=cold)
    assert cold.diagnostics.converged
    np.testing.assert_allclose(warm.period_effect, cold.period_effect, atol=2e-3)
    assert warm.diagnostics.elbo == pytest.approx(cold.diagnostics.elbo, abs=0.1)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_points_beside_the_mode_are_close_enough(likelihood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = draw(n=8, T=16, level=1.5, K=0)
    usual = fit(panel, DEFAULT, likelihood, OPTIONS)
    monkeypatch.setattr(result, "_OFF_MODE", 1.0)
    tight = fit(panel, DEFAULT, likelihood, replace(OPTIONS, tolerance=1e-4))
    (mean, sd), (tight_mean, tight_sd) = mixture(usual), mixture(tight)
    assert len(usual.tau) > 5
    assert np.abs((mean - tight_mean) / tight_sd).max() < 5e-3
    np.testing.assert_allclose(sd, tight_sd, rtol=5e-3)
    assert usual.product_spread() == pytest.approx(tight.product_spread(), rel=5e-3)


def test_tau_gradient_is_the_slope_of_the_elbo() -> None:
    panel, step = draw(), 0.1
    priors = replace(FIXED, product_spread=DEFAULT.product_spread)
    problem = engine.Problem(panel, priors, "poisson", OPTIONS.max_passes)

    def at(log_tau: float) -> tuple[float, float]:
        state = problem.start(None)
        state = state._replace(log_scale=np.concatenate([[np.float32(log_tau)], state.log_scale[1:]]))
        run = problem.run(state, jnp.float32(0.0), jnp.float32(1e-4))
        return float(run.found.objective), float(run.found.tau_gradient)

    (low, _), (_, slope), (high, _) = at(-0.5 - step), at(-0.5), at(-0.5 + step)
    tau = np.exp(-0.5)
    assert slope - (1.0 - tau**2) == pytest.approx((high - low) / (2 * step), abs=0.02)
