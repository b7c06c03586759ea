"""The joint density against scipy, term by term."""

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import jax
import numpy as np
import pytest
from numpyro.infer.util import log_density
from scipy import stats

from elasticity_assets.inference.density.model import Model, Sales, places, stack_panels
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import ARTICLE, DEFAULT, Fixed, Priors, Season, SlowDemand
from elasticity_assets.inference.simulate import Simulation, simulated_panels

SIMULATION = Simulation(products=12, weeks=20, categories=2, control_effects=(0.5,), observed=0.8)
SOME_FIXED = replace(DEFAULT, level_spread=Fixed(2.0), log_dispersion_spread=Fixed(0.7))


def draw(model: Model, sales: Sales, seed: int = 0) -> dict[str, np.ndarray]:
    """Some values of all latent variables; 0 for padding, where a standard normal has its mode."""
    rng = np.random.default_rng(seed)
    C, W = sales.period.shape
    K, real = sales.controls.shape[-1], sales.member.sum(axis=1) > 0
    values = {
        "beta_g": rng.normal(-2, 1), "tau_c": 0.6, "beta_c": rng.normal(-2, 1, C), "tau": rng.uniform(0.3, 1, C),
        "delta_c": rng.normal(2, 1, C), "sigma_delta": rng.uniform(0.5, 2, C), "sigma_gamma": rng.uniform(0.1, 1, C),
        "mu_r": rng.normal(2, 1, C), "s_r": rng.uniform(0.3, 1, C), "alpha": rng.normal(0, 1, (C, K)),
        "gamma": np.where(sales.period, rng.normal(0, 0.3, (C, W)), 0.0),
        "beta": np.where(real, rng.normal(-2, 1, len(real)), 0.0),
        "delta": np.where(real, rng.normal(2, 1, len(real)), 0.0),
        "log_r": np.where(real, rng.normal(2, 1, len(real)), 0.0),
    }  # fmt: skip
    return {name: values[name] for name in model.latent_sites(K)}


def scipy_log_density(
    panels: list[Panel], priors: Priors, likelihood: str, joint: bool, sales: Sales, v: dict
) -> float:
    def scale(name: str, prior: object, c: int) -> tuple[float, float]:
        if isinstance(prior, Fixed):
            return prior.value, 0.0
        value = np.atleast_1d(v[name])[c]
        return value, stats.halfnorm.logpdf(value, scale=prior.scale) if c == 0 or name != "tau_c" else 0.0

    total, norm = 0.0, stats.norm.logpdf
    if joint:
        total += norm(v["beta_g"], priors.global_mean, priors.global_sd)
        tau_c, prior = scale("tau_c", priors.category_spread, 0)
        total += prior
    for c, panel in enumerate(panels):
        rows, columns = places(panels, sales, c)
        above = (v["beta_g"], tau_c) if joint else (priors.category_mean, priors.category_var**0.5)
        total += norm(v["beta_c"][c], *above)
        tau, prior_tau = scale("tau", priors.product_spread, c)
        sigma_delta, prior_delta = scale("sigma_delta", priors.level_spread, c)
        sigma_gamma, prior_gamma = scale("sigma_gamma", priors.period_spread, c)
        total += prior_tau + prior_delta + prior_gamma
        delta_c = v["delta_c"][c] if priors.level_sd else priors.level_mean
        total += norm(delta_c, priors.level_mean, priors.level_sd) if priors.level_sd else 0.0
        total += norm(v["alpha"][c], 0, priors.control_sd).sum()
        total += norm(v["gamma"][c, columns], 0, sigma_gamma).sum()
        total += (
            norm(v["beta"][rows], v["beta_c"][c], tau).sum()
            + norm(v["delta"][rows], delta_c, sigma_delta).sum()
        )
        seen = panel.observed[: panel.n_products, : panel.n_periods]
        price = panel.centred_log_price() if priors.centred_price else panel.log_price
        cut = np.s_[: panel.n_products, : panel.n_periods]
        eta = v["delta"][rows, None] + v["beta"][rows, None] * price[cut] + v["gamma"][c, columns]
        mean = np.exp(eta + panel.controls[cut] @ v["alpha"][c])
        if likelihood == "poisson":
            cells = stats.poisson(mean)
            zero = np.exp(-mean)
        else:
            total += norm(v["mu_r"][c], priors.log_dispersion_mean, priors.log_dispersion_sd)
            s_r, prior_s = scale("s_r", priors.log_dispersion_spread, c)
            total += prior_s + norm(v["log_r"][rows], v["mu_r"][c], s_r).sum()
            r = np.exp(v["log_r"][rows])[:, None]
            cells = stats.nbinom(r, r / (r + mean))
            zero = (r / (r + mean)) ** r
        density = cells.logpmf(panel.units[cut]) - (np.log1p(-zero) if panel.zero_truncated else 0.0)
        total += density[seen].sum()
    padding = (~sales.period).sum() + (2 + (likelihood != "poisson")) * (sales.member.sum(axis=1) == 0).sum()
    return total - 0.5 * np.log(2 * np.pi) * padding


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
@pytest.mark.parametrize("priors", [DEFAULT, SOME_FIXED, ARTICLE])
def test_joint_density_is_scipys(priors: Priors, likelihood: str, truncated: bool, joint: bool) -> None:
    panels, _ = simulated_panels(replace(SIMULATION, drop_zeros=truncated), 1)
    with jax.enable_x64(True):
        sales = stack_panels(panels, centred_price=priors.centred_price)
        model = Model(priors, likelihood, zero_truncated=truncated, joint=joint)
        values = draw(model, sales)
        density = jax.jit(lambda v: log_density(model, (sales,), {}, v)[0])(values)
        expected = scipy_log_density(panels, priors, likelihood, joint, sales, values)
        assert float(density) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_float32_has_float64s_gradients(likelihood: str) -> None:
    """At 3 and at ten million units a week."""
    for level in (1.0, 16.0):
        panels, _ = simulated_panels(replace(SIMULATION, level_mean=level, likelihood=likelihood), 2)

        def gradient(panels=panels):
            sales = stack_panels(panels, centred_price=True)
            model = Model(DEFAULT, likelihood)
            values = draw(model, sales)
            values["delta"] = np.log(np.maximum(sales.units.sum(1), 0.5) / np.maximum(sales.weight.sum(1), 1))
            values = {k: np.asarray(v, sales.units.dtype) for k, v in values.items()}
            return jax.jit(jax.grad(lambda v: log_density(model, (sales,), {}, v)[0]))(values)

        single = gradient()
        with jax.enable_x64(True):
            double = gradient()
        for name, value in double.items():
            assert single[name].dtype == np.float32
            np.testing.assert_allclose(single[name], value, rtol=1e-3, atol=2e-4 * np.abs(value).max() + 1e-3)


def test_eta_bounds_cut_off() -> None:
    panels, _ = simulated_panels(SIMULATION, 1)
    sales = stack_panels(panels, centred_price=True)
    model = Model(DEFAULT, "poisson", eta_bounds=(-4.0, 20.0))
    values = draw(model, sales) | {"delta": np.full(len(sales.units), -50.0)}
    pushed = values | {"delta": np.full(len(sales.units), -60.0)}
    args = (values["gamma"], values["alpha"])
    low, lower = (
        model.log_likelihood(sales, v["beta"], v["delta"], v["beta"], *args) for v in (values, pushed)
    )
    assert float(low) == float(lower)


def test_panels_with_different_controls_do_not_stack() -> None:
    with_control, _ = simulated_panels(SIMULATION, 1)
    without, _ = simulated_panels(replace(SIMULATION, control_effects=()), 1)
    with pytest.raises(ValueError, match="same controls"):
        stack_panels([with_control[0], without[0]], centred_price=True)


def test_the_model_s_graph_names_every_latent_variable() -> None:
    graph = files("elasticity_assets.report").joinpath("model_graph.svg").read_text(encoding="utf-8")
    shown = set(re.findall(r"<title>(\w+)</title>", graph))
    priors = replace(DEFAULT, slow_demand=SlowDemand(), season=Season())
    latent = Model(priors, "negative_binomial", joint=True).latent_sites(1)
    assert shown - {"distribution_description_node"} == {*latent, "slow_demand", "units"}
    assert (Path(__file__).parents[3] / "docs" / "model_graph.svg").read_text(encoding="utf-8") == graph
