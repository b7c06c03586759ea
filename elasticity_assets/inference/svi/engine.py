"""Engine: stochastic variational inference in NumPyro, data-parallel over the local devices."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np

from elasticity_assets.inference.density.model import Model, Sales, places, stack_panels
from elasticity_assets.inference.density.start import resume_from, starting_values
from elasticity_assets.inference.devices import device_mesh
from elasticity_assets.inference.natural_gradient.engine import with_arrow_covariances
from elasticity_assets.inference.options import Likelihood, Progress, SviOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics
from elasticity_assets.inference.priors import Fixed, HalfNormal, Priors
from elasticity_assets.inference.svi import guides
from elasticity_assets.inference.svi.optimize import Objective, Optimum, optimize

_TAU_POINTS = 5

_starting_values = jax.jit(starting_values, static_argnames="model")

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class JointPosterior:
    """Posterior of several categories fitted together.

    Attributes
    ----------
    category : tuple of CategoryPosterior
        Already pooled: pooling them again would count the common prior twice. Variances are the guide's own.
    global_mean, global_sd : float
        beta_g ~ N(global_mean, global_sd^2).
    category_spread : float
        Posterior mean of tau_c.
    """

    category: tuple[CategoryPosterior, ...]
    global_mean: float
    global_sd: float
    category_spread: float


def fit(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: SviOptions,
    *,
    start: CategoryPosterior | None = None,
    on_progress: Progress | None = None,
) -> CategoryPosterior:
    """Fit one category by stochastic variational inference.

    Parameters
    ----------
    panel : Panel
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    options : SviOptions
    start : CategoryPosterior, optional
        Where to start from; products, periods and controls are matched by name.
    on_progress : callable, optional
        Called after every chunk of steps with (steps done, ELBO).

    Returns
    -------
    CategoryPosterior
        With `diagnostics.converged` False and a warning if `options.max_steps` came first.

    Raises
    ------
    ValueError
        If the options do not go together.
    """
    found = _fit([panel], priors, likelihood, options, joint=False, start=start, on_progress=on_progress)
    return _with_covariances(found)


def fit_joint(
    panels: Sequence[Panel],
    priors: Priors,
    likelihood: Likelihood,
    options: SviOptions,
    *,
    on_progress: Progress | None = None,
) -> JointPosterior:
    """Fit all categories together, under a common beta_g and tau_c: the article's model.

    The reference for what a refit does instead, which is to fit categories one by one and pool them (`hierarchy`):
    benchmarks/svi.py times it.

    Parameters
    ----------
    panels : sequence of Panel
        With the same controls, all zero-truncated or none.
    priors, likelihood, options, on_progress
        As for `fit`.

    Raises
    ------
    ValueError
        If the panels or the options do not go together.
    """
    found = _fit(panels, priors, likelihood, options, joint=True, start=None, on_progress=on_progress)
    return JointPosterior(
        category=tuple(_posterior(found, index) for index in range(len(panels))),
        global_mean=float(found.mean["beta_g"]),
        global_sd=float(found.sd["beta_g"]),
        category_spread=float(_mean_scale(found, "tau_c", priors.category_spread)),
    )


@dataclass(frozen=True)
class _Found:
    """A fitted guide: `mean` and `sd` by site, in unconstrained space, and what they belong to.

    `marginals` gives the same two for a given log tau.
    """

    panels: Sequence[Panel]
    sales: Sales
    model: Model
    mean: Arrays
    sd: Arrays
    marginals: Callable[..., tuple[Arrays, Arrays]]
    optimum: Optimum
    began: float
    diagnostics: FitDiagnostics


def _fit(
    panels: Sequence[Panel],
    priors: Priors,
    likelihood: Likelihood,
    options: SviOptions,
    *,
    joint: bool,
    start: CategoryPosterior | None,
    on_progress: Progress | None,
) -> _Found:
    began = time.perf_counter()
    if priors.slow_demand is not None:
        raise ValueError("the engine svi knows no slow demand; take natural_gradient, or priors without it")
    if priors.season is not None:
        raise ValueError("the engine svi knows no seasons; take natural_gradient, or priors without them")
    _check(panels, likelihood, options)
    mesh = device_mesh()
    rows = sum(len(panel.units) for panel in panels)
    n_blocks = -(-rows // options.batch_products) if options.batch_products else 1
    sales = stack_panels(panels, centred_price=priors.centred_price, row_multiple=mesh.size * n_blocks)
    if any(panel.experiment.size for panel in panels):
        raise ValueError("the engine svi takes no results from elsewhere; use natural_gradient")
    plain = Model(priors, likelihood, panels[0].zero_truncated, joint, options.eta_bounds)
    mean, sd = jax.device_get(_starting_values(plain, sales))
    if start is not None:
        mean, sd = resume_from(start, panels[0], *places(panels, sales, 0), mean, sd)
    model = replace(plain, mesh=mesh, rows_scale=float(n_blocks))
    objective = Objective(model, options.guide, options.loss, options.optimizer, options.num_particles)
    init = guides.initial_params(options.guide, sales, mean, sd, partly_centred=objective.partly_centred)
    near = start is not None
    optimum = optimize(objective, sales, init, options, near=near, on_progress=on_progress)
    by_site = partial(guides.marginals, options.guide, sales, optimum.params, mean)
    mean, sd = jax.device_get(by_site())
    diagnostics = FitDiagnostics(
        engine="svi",
        likelihood=likelihood,
        zero_truncated=model.zero_truncated,
        device=f"{jax.local_devices()[0].device_kind} x{mesh.size}",
        iterations=optimum.steps,
        converged=not optimum.warnings,
        elbo=optimum.elbo,
        seconds=time.perf_counter() - began,
        warnings=optimum.warnings,
    )
    return _Found(panels, sales, model, mean, sd, by_site, optimum, began, diagnostics)


def _check(panels: Sequence[Panel], likelihood: Likelihood, options: SviOptions) -> None:
    """Refuse what does not go together, in one line."""
    truncated = {panel.zero_truncated for panel in panels}
    if jax.process_count() > 1:
        # On CPUs, sums that do not wait for each other can meet another process's in another order, and mix.
        raise ValueError("engine svi fits in one process; over several use engine natural_gradient")
    if len(truncated) > 1:
        raise ValueError("categories fitted together must all be zero-truncated, or none")
    if options.loss == "closed_form":
        if likelihood != "poisson" or truncated == {True}:
            raise ValueError("loss closed_form needs likelihood poisson, not truncated; use loss elbo")
        if options.guide != "mean_field" or options.eta_bounds is not None:
            raise ValueError("loss closed_form needs guide mean_field and no eta_bounds; use loss elbo")
    if options.guide == "low_rank" and options.batch_products is not None:
        raise ValueError("guide low_rank takes all products at once; leave batch_products out")
    if options.batch_products is not None and options.batch_products < 1:
        raise ValueError(f"batch_products is {options.batch_products}; give at least 1")


def _posterior(found: _Found, index: int) -> CategoryPosterior:
    """One category's posterior with the guide's own moments, at tau's posterior mean."""
    panel, priors, mean, sd = found.panels[index], found.model.priors, found.mean, found.sd
    rows, columns = places(found.panels, found.sales, index)
    counts = found.model.likelihood == "negative_binomial"
    n, K = len(rows), len(panel.control)

    def scale(name: str, prior: HalfNormal | Fixed) -> float:
        return float(
            np.atleast_1d(_mean_scale(found, name, prior))[min(index, np.size(mean.get(name, 0)) - 1)]
        )

    return CategoryPosterior(
        category=panel.category,
        product=panel.product,
        period=panel.period,
        control=panel.control,
        prior_mean=priors.category_mean,
        prior_var=priors.category_var,
        tau=np.array([scale("tau", priors.product_spread)]),
        weight=np.ones(1),
        category_mean=mean["beta_c"][[index]].astype(np.float64),
        category_var=sd["beta_c"][[index]].astype(np.float64) ** 2,
        product_mean=mean["beta"][None, rows].astype(np.float64),
        product_var=sd["beta"][None, rows].astype(np.float64) ** 2,
        product_gain=np.zeros((1, n)),
        control_mean=mean["alpha"][[index]].astype(np.float64) if K else np.zeros((1, 0)),
        control_cov=np.diag(sd["alpha"][index].astype(np.float64) ** 2)[None] if K else np.zeros((1, 0, 0)),
        control_gain=np.zeros((1, K)),
        product_control_cov=np.zeros((1, n, K)),
        level=mean["delta"][rows].astype(np.float64),
        period_effect=mean["gamma"][index, columns].astype(np.float64),
        dispersion=np.exp(mean["log_r"][rows].astype(np.float64)) if counts else np.full(len(rows), np.inf),
        log_dispersion_sd=sd["log_r"][rows].astype(np.float64) if counts else np.zeros(len(rows)),
        level_mean=float(mean["delta_c"][index]) if priors.level_sd > 0 else priors.level_mean,
        level_spread=scale("sigma_delta", priors.level_spread),
        period_spread=scale("sigma_gamma", priors.period_spread),
        log_dispersion_mean=float(mean["mu_r"][index]) if counts else priors.log_dispersion_mean,
        log_dispersion_spread=scale("s_r", priors.log_dispersion_spread) if counts else 0.0,
        trace=found.optimum.trace,
        diagnostics=found.diagnostics,
    )


def _with_covariances(found: _Found) -> CategoryPosterior:
    """Posterior of the only category: the guide's means, and on a grid over q(tau) the covariances at them.

    A guide's own variances leave out most of what correlation adds.
    """
    panel, priors, likelihood = found.panels[0], found.model.priors, found.model.likelihood
    posterior = _posterior(found, 0)
    tau, weight = posterior.tau, posterior.weight
    if "tau" in found.mean:
        nodes, weight = np.polynomial.hermite_e.hermegauss(_TAU_POINTS)
        tau, weight = np.exp(found.mean["tau"] + found.sd["tau"] * nodes), weight / weight.sum()
    rows, _ = places(found.panels, found.sales, 0)
    points = []
    for k in range(len(tau)):
        given, _ = jax.device_get(found.marginals(np.log(tau[[k]])))
        point = replace(posterior, tau=tau[[k]], product_mean=given["beta"][None, rows].astype(np.float64))
        points.append(with_arrow_covariances(point, panel, priors, likelihood))
    moments: dict[str, Any] = {
        name: np.concatenate([getattr(point, name) for point in points])
        for name in (
            "category_mean",
            "category_var",
            "product_mean",
            "product_var",
            "product_gain",
            "control_mean",
            "control_cov",
            "control_gain",
            "product_control_cov",
        )
    }
    seconds = time.perf_counter() - found.began
    diagnostics = replace(posterior.diagnostics, seconds=seconds)
    return replace(posterior, tau=tau, weight=weight, diagnostics=diagnostics, **moments)


def _mean_scale(found: _Found, name: str, prior: HalfNormal | Fixed) -> np.ndarray:
    """Posterior mean of a scale, whose log is Gaussian, one a category or a scalar."""
    if isinstance(prior, Fixed):
        return np.asarray(prior.value)
    return np.exp(found.mean[name].astype(np.float64) + 0.5 * found.sd[name].astype(np.float64) ** 2)
