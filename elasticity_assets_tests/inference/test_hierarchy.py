"""Pooling, against joint Gaussian models solved densely and integrals done by brute force."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from elasticity_assets.inference import engines
from elasticity_assets.inference.experiments import Experiment, with_experiments
from elasticity_assets.inference.hierarchy import message, pool, pooled, pooled_zones
from elasticity_assets.inference.judging.dense import joint_poisson_fit
from elasticity_assets.inference.options import FitOptions
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics
from elasticity_assets.inference.priors import Fixed, HalfNormal, Priors
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets_tests.support.zones import zoned_posterior


@dataclass
class Normals:
    """Categories whose products' elasticities were observed once each: y_i ~ N(beta_i, noise_i^2)."""

    y: list[np.ndarray]
    noise: list[np.ndarray]


def draw(seed: int, categories: int = 4, products: int = 5) -> Normals:
    rng = np.random.default_rng(seed)
    noise = [rng.uniform(0.1, 1.5, products) for _ in range(categories)]
    return Normals([rng.normal(rng.normal(-2, 1), np.hypot(0.5, s)) for s in noise], noise)


def dense_posterior(
    data: Normals, tau: float, tau_c: float, priors: Priors
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and covariance of (beta_g, beta_1.., products), and the log evidence, with both scales known."""
    groups = len(data.y)
    group = np.repeat(np.arange(groups), [len(y) for y in data.y])
    y, noise = np.concatenate(data.y), np.concatenate(data.noise)
    rows = np.hstack([np.ones((len(y), 1)), np.eye(groups)[group], np.eye(len(y))])
    # Everything is linear in independent standard effects: global, category, product.
    effect_var = np.concatenate([[priors.global_sd**2], np.full(groups, tau_c**2), np.full(len(y), tau**2)])
    top = np.hstack([np.eye(1), np.zeros((1, groups + len(y)))])
    middle = np.hstack([np.ones((groups, 1)), np.eye(groups), np.zeros((groups, len(y)))])
    levels = np.vstack([top, middle, rows])
    prior = levels @ np.diag(effect_var) @ levels.T
    cross = levels @ np.diag(effect_var) @ rows.T
    marginal = rows @ np.diag(effect_var) @ rows.T + np.diag(noise**2)
    residual = y - priors.global_mean
    mean = priors.global_mean + cross @ np.linalg.solve(marginal, residual)
    log_evidence = -0.5 * (residual @ np.linalg.solve(marginal, residual) + np.linalg.slogdet(marginal)[1])
    return mean, prior - cross @ np.linalg.solve(marginal, cross.T), log_evidence


def fit_alone(
    name: str, y: np.ndarray, noise: np.ndarray, taus: np.ndarray, priors: Priors
) -> CategoryPosterior:
    """One category's exact posterior under its own prior, on a grid of equally likely values of tau."""
    m0, v0 = priors.category_mean, priors.category_var
    log_weight, c_mean, c_var, mean, var, gain = [], [], [], [], [], []
    for tau in taus:
        total = tau**2 + noise**2
        V = 1 / (1 / v0 + (1 / total).sum())
        b = V * (m0 / v0 + (y / total).sum())
        keep = noise**2 / total  # how much a product follows its category
        c_mean.append(b)
        c_var.append(V)
        gain.append(keep)
        mean.append(keep * b + (1 - keep) * y)
        var.append(keep * tau**2 + keep**2 * V)
        marginal = np.diag(total) + v0
        log_weight.append(
            -0.5 * ((y - m0) @ np.linalg.solve(marginal, y - m0) + np.linalg.slogdet(marginal)[1])
        )
    weight = np.exp(np.array(log_weight) - max(log_weight))
    n, g = len(y), len(taus)
    return CategoryPosterior(
        category=name,
        product=np.array([f"{name}{i}" for i in range(n)]),
        period=np.array([], dtype="datetime64[D]"),
        control=(),
        prior_mean=m0,
        prior_var=v0,
        tau=np.asarray(taus),
        weight=weight / weight.sum(),
        category_mean=np.array(c_mean),
        category_var=np.array(c_var),
        product_mean=np.array(mean),
        product_var=np.array(var),
        product_gain=np.array(gain),
        control_mean=np.zeros((g, 0)),
        control_cov=np.zeros((g, 0, 0)),
        control_gain=np.zeros((g, 0)),
        product_control_cov=np.zeros((g, n, 0)),
        level=np.zeros(n),
        period_effect=np.zeros(0),
        dispersion=np.full(n, np.inf),
        log_dispersion_sd=np.zeros(n),
        level_mean=0.0,
        level_spread=1.0,
        period_spread=1.0,
        log_dispersion_mean=2.0,
        log_dispersion_spread=1.0,
        trace=np.zeros(0),
        diagnostics=FitDiagnostics("exact", "poisson", False, "cpu", 1, True, 0.0, 0.0),
    )


def fits(data: Normals, taus: np.ndarray, priors: Priors) -> list[CategoryPosterior]:
    return [
        fit_alone("abcdefgh"[c], y, s, taus, priors)
        for c, (y, s) in enumerate(zip(data.y, data.noise, strict=True))
    ]


@given(seed=st.integers(0, 10_000), categories=st.integers(1, 6), tau_c=st.floats(0.05, 3.0))
@settings(max_examples=25, deadline=None)
def test_with_known_scales_pooling_equals_the_joint_model(seed: int, categories: int, tau_c: float) -> None:
    priors = Priors(category_spread=Fixed(tau_c))
    data = draw(seed, categories)
    alone = fits(data, np.array([0.5]), priors)
    hierarchy = pool([message(p) for p in alone], priors)
    mean, covariance, _ = dense_posterior(data, 0.5, tau_c, priors)
    var = np.diag(covariance)

    assert hierarchy.global_mean[0] == pytest.approx(mean[0], abs=1e-8)
    assert hierarchy.global_var[0] == pytest.approx(var[0], rel=1e-8)
    np.testing.assert_allclose(hierarchy.mean[:, 0], mean[1 : 1 + categories], atol=1e-8)
    np.testing.assert_allclose(hierarchy.var[:, 0], var[1 : 1 + categories], rtol=1e-7)
    together = [pooled(p, hierarchy) for p in alone]
    np.testing.assert_allclose(
        np.concatenate([p.product_mean[0] for p in together]), mean[1 + categories :], atol=1e-8
    )
    np.testing.assert_allclose(
        np.concatenate([p.product_var[0] for p in together]), var[1 + categories :], rtol=1e-7
    )


def test_category_spread_is_integrated() -> None:
    """Against the same dense model on a fine grid of tau_c, weighted by evidence and prior."""
    priors = Priors(category_spread=HalfNormal(1.0))
    data = draw(3, categories=6)
    alone = fits(data, np.array([0.5]), priors)
    hierarchy = pool([message(p) for p in alone], priors)

    grid = np.linspace(0.005, 4.5, 900)
    solved = [dense_posterior(data, 0.5, t, priors) for t in grid]
    log_weight = np.array([log_evidence for _, _, log_evidence in solved]) + norm.logpdf(grid)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    means = np.array([m for m, _, _ in solved])
    mean = weight @ means
    var = weight @ (np.array([np.diag(c) for _, c, _ in solved]) + (means - mean) ** 2)

    summary = hierarchy.global_summary()
    assert summary.mean[0] == pytest.approx(mean[0], abs=2e-3)
    assert summary.sd[0] == pytest.approx(np.sqrt(var[0]), rel=5e-3)
    product_mean = np.concatenate([pooled(p, hierarchy).product_mean[0] for p in alone])
    product_var = np.concatenate([pooled(p, hierarchy).product_var[0] for p in alone])
    np.testing.assert_allclose(product_mean, mean[7:], atol=2e-3)
    np.testing.assert_allclose(product_var, var[7:], rtol=5e-3)


def test_one_category_alone_reweighs_its_tau_grid_exactly() -> None:
    """With one category its cavity is the prior itself: beta_g and tau_c integrated out by brute force."""
    priors = Priors(category_spread=HalfNormal(1.0))
    data = draw(5, categories=1)
    taus = np.array([0.2, 0.5, 1.0, 2.0])
    (alone,) = fits(data, taus, priors)
    together = pooled(alone, pool([message(alone)], priors))

    grid = np.linspace(0.002, 5.0, 1500)
    log_weight = np.array(
        [[dense_posterior(data, tau, t, priors)[2] + norm.logpdf(t) for t in grid] for tau in taus]
    )
    weight = np.exp(log_weight - log_weight.max()).sum(axis=1)
    np.testing.assert_allclose(together.weight, weight / weight.sum(), rtol=2e-3)


def test_products_in_zones_follow_their_category_as_products_do() -> None:
    priors = Priors(product_spread=Fixed(0.3), category_spread=Fixed(0.4))
    first, second = fits(draw(0, categories=2), np.array([0.3]), priors)
    zoned = replace(
        zoned_posterior(),
        products=first,
        row_mean=first.product_mean[:, [0, 1, 1]],
        row_var=first.product_var[:, [0, 1, 1]] + 0.01,
        row_gain=first.product_gain[:, [0, 1, 1]],
    )
    hierarchy = pool([message(first), message(second)], priors)
    found, products = pooled_zones(zoned, hierarchy), pooled(first, hierarchy)
    np.testing.assert_array_equal(found.products.product_mean, products.product_mean)
    np.testing.assert_allclose(found.row_mean, products.product_mean[:, [0, 1, 1]])
    np.testing.assert_allclose(found.row_var, products.product_var[:, [0, 1, 1]] + 0.01)
    np.testing.assert_array_equal(found.zone_mean, zoned.zone_mean)


def test_category_that_learned_nothing_takes_what_the_others_say() -> None:
    priors = Priors(category_spread=Fixed(0.3))
    data = draw(1, categories=4)
    alone = fits(data, np.array([0.5]), priors)
    flat = fit_alone("flat", np.zeros(0), np.zeros(0), np.array([0.5]), priors)
    hierarchy = pool([message(p) for p in [*alone, flat]], priors)
    without = pool([message(p) for p in alone], priors)

    assert hierarchy.global_mean[0] == pytest.approx(without.global_mean[0], abs=1e-12)
    assert hierarchy.mean[4, 0] == pytest.approx(without.global_mean[0], abs=1e-9)
    assert hierarchy.var[4, 0] == pytest.approx(without.global_var[0] + 0.3**2, rel=1e-9)


def test_order_of_categories_does_not_matter() -> None:
    priors = Priors()
    messages = [message(p) for p in fits(draw(8, 5), np.array([0.3, 0.6]), priors)]
    forward, backward = pool(messages, priors), pool(messages[::-1], priors)
    np.testing.assert_allclose(forward.mean, backward.mean[::-1], rtol=1e-9)
    np.testing.assert_allclose(forward.weight.sum(axis=1), 1.0, rtol=1e-12)


def test_mistakes_are_named() -> None:
    priors = Priors()
    (alone,) = fits(draw(0, 1), np.array([0.5]), priors)
    with pytest.raises(ValueError, match="no fitted category"):
        pool([], priors)
    with pytest.raises(ValueError, match="twice"):
        pool([message(alone), message(alone)], priors)
    other = fit_alone("z", np.zeros(1), np.ones(1), np.array([0.5]), priors)
    with pytest.raises(KeyError, match="'z' is not in the hierarchy"):
        pooled(other, pool([message(alone)], priors))


@pytest.mark.parametrize("control_effects", [pytest.param((), marks=pytest.mark.slow), (0.5,)])
def test_partitions_and_pooling_equal_one_joint_fit(control_effects: tuple[float, ...]) -> None:
    """Categories fitted one by one and pooled, against all of them in one dense joint fit, scales fixed."""
    priors = Priors(
        category_spread=Fixed(0.6),
        product_spread=Fixed(0.5),
        level_spread=Fixed(1.0),
        period_spread=Fixed(0.2),
    )
    simulation = Simulation(
        products=18,
        weeks=52,
        categories=3,
        likelihood="poisson",
        control_effects=control_effects,
        observed=0.9,
        level_mean=2.5,
    )
    panels, _ = simulated_panels(simulation, seed=4)
    # Results from elsewhere, of one product and of two categories, are part of it.
    panels[0] = with_experiments(panels[0], [Experiment(str(panels[0].product[2]), -0.5, 0.3)])
    panels[1] = with_experiments(panels[1], [Experiment("", -1.0, 0.2)])
    alone = [engines.fit(panel, priors, FitOptions("natural_gradient", "poisson")) for panel in panels]
    hierarchy = pool([message(p) for p in alone], priors)
    together = [pooled(p, hierarchy) for p in alone]
    joint = joint_poisson_fit(panels, priors)

    sd = np.sqrt(joint.product_var)
    mean = np.concatenate([p.product_mean[0] for p in together])
    var = np.concatenate([p.product_var[0] for p in together])
    assert np.abs((mean - joint.product_mean) / sd).max() < 0.01
    np.testing.assert_allclose(np.sqrt(var) / sd, 1.0, atol=0.01)
    assert abs(hierarchy.global_mean[0] - joint.global_mean) / np.sqrt(joint.global_var) < 0.01
    assert hierarchy.global_var[0] == pytest.approx(joint.global_var, rel=0.02)


def test_effects_of_controls_follow_their_category() -> None:
    """A joint Gaussian of beta_c, three products and two controls, moved from one prior of beta_c to another."""
    rng = np.random.default_rng(3)
    priors = Priors()
    half = rng.normal(size=(6, 6))
    known = half @ half.T + np.eye(6)  # precision and shift without the prior of beta_c
    shift = rng.normal(size=6)

    def moments(mean: float, var: float) -> tuple[np.ndarray, np.ndarray]:
        cov = np.linalg.inv(known + np.diag([1 / var, 0, 0, 0, 0, 0]))
        return cov @ (shift + np.array([mean / var, 0, 0, 0, 0, 0])), cov

    def posterior(mean: np.ndarray, cov: np.ndarray) -> CategoryPosterior:
        (alone,) = fits(draw(0, 1), np.array([0.5]), priors)
        return replace(
            alone,
            product=np.array(["a", "b", "c"]),
            control=("display", "mailer"),
            category_mean=mean[:1],
            category_var=cov[0, :1],
            product_mean=mean[None, 1:4],
            product_var=np.diag(cov)[None, 1:4],
            product_gain=cov[None, 0, 1:4] / cov[0, 0],
            control_mean=mean[None, 4:],
            control_cov=cov[None, 4:, 4:],
            control_gain=cov[None, 0, 4:] / cov[0, 0],
            product_control_cov=cov[None, 1:4, 4:],
        )

    alone = posterior(*moments(priors.category_mean, priors.category_var))
    expected = posterior(*moments(-1.0, 0.05))
    hierarchy = replace(
        pool([message(alone)], priors), mean=expected.category_mean[None], var=expected.category_var[None]
    )
    found = pooled(alone, hierarchy)
    for name in ("product_mean", "product_var", "control_mean", "control_cov", "product_control_cov"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-10)
        assert not np.allclose(getattr(found, name), getattr(alone, name), atol=1e-3)
