"""Engine: the No-U-Turn sampler of NumPyro, the reference that the other engines are held against.

Effects are partly non-centred, each by how little its own data say about it: with weak data the prior's
scale and the effect are strongly dependent, with strong data the effect and its standardized value are. Dispersions
are wholly non-centred: few data say much about them, and a category near Poisson has a funnel there.
"""

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.handlers import reparam
from numpyro.infer import MCMC, NUTS
from numpyro.infer.reparam import LocScaleReparam
from scipy.special import expit

from elasticity_assets.inference import season
from elasticity_assets.inference.density.model import Model, Sales, places, stack_panels
from elasticity_assets.inference.density.start import resume_from, starting_values
from elasticity_assets.inference.options import Likelihood, NutsOptions, Progress
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics
from elasticity_assets.inference.priors import Fixed, Priors

_LARGEST_R_HAT = 1.01
_SMALLEST_ESS = 400
_DRAWS_PER_POINT = 200  # of the grid over tau
_MOST_POINTS = 10


@dataclass(frozen=True)
class Draws:
    """Draws from one category's posterior; leading axes (chains, samples).

    Attributes
    ----------
    elasticity : array, shape (chains, samples, n)
        beta_i.
    category_elasticity, level_mean : arrays, shape (chains, samples)
        beta_c and delta_c.
    tau, level_spread, period_spread : arrays, shape (chains, samples)
    log_dispersion_mean, log_dispersion_spread : arrays, shape (chains, samples)
    control_effect : array, shape (chains, samples, K)
    level, dispersion : arrays, shape (chains, samples, n)
        delta_i and r_i; infinite dispersion for Poisson.
    period_effect : array, shape (chains, samples, T)
    divergences : int
        Transitions that left the region where the integrator is right.
    slow_demand, slow_demand_sd : arrays, shapes (n, T) and (n,)
        Means of u_it and sigma_i; shapes (0, 0) and (0,) where the model has none.
    slow_demand_persistence, slow_demand_centre, slow_demand_spread : float
        Means of phi, mu_u and s_u.
    season : array, shape (n, 2)
        Means of w_i; shape (0, 2) where the model has none.
    season_spread : float
        Mean of sigma_w.
    """

    elasticity: np.ndarray
    category_elasticity: np.ndarray
    level_mean: np.ndarray
    tau: np.ndarray
    level_spread: np.ndarray
    period_spread: np.ndarray
    log_dispersion_mean: np.ndarray
    log_dispersion_spread: np.ndarray
    control_effect: np.ndarray
    level: np.ndarray
    dispersion: np.ndarray
    period_effect: np.ndarray
    divergences: int
    slow_demand: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    slow_demand_sd: np.ndarray = field(default_factory=lambda: np.zeros(0))
    slow_demand_persistence: float = 0.0
    slow_demand_centre: float = 0.0
    slow_demand_spread: float = 0.0
    season: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    season_spread: float = 0.0

    def effective_sample_size(self) -> np.ndarray:
        """Of each product's elasticity, of beta_c and, where learned, of tau; shape (n + 2,) or (n + 1,)."""
        return effective_sample_size(self._watched())

    def r_hat(self) -> np.ndarray:
        """Split R-hat of the same quantities; 1 where all chains agree."""
        return split_gelman_rubin(self._watched())

    def _watched(self) -> np.ndarray:
        parts = [self.elasticity, self.category_elasticity[..., None], self.tau[..., None]]
        return np.concatenate(parts if np.ptp(self.tau) > 0 else parts[:-1], axis=-1).astype(np.float64)


def fit(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: NutsOptions,
    *,
    start: CategoryPosterior | None = None,
    on_progress: Progress | None = None,
) -> CategoryPosterior:
    """Fit one category by the No-U-Turn sampler.

    Parameters
    ----------
    panel : Panel
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    options : NutsOptions
    start : CategoryPosterior, optional
        Where chains start around; products, periods and controls are matched by name.
    on_progress : callable, optional
        Called at the start and at the end with (draws done, NaN).

    Returns
    -------
    CategoryPosterior
        The draws in bins of equal weight along tau, each with its moments.

    Raises
    ------
    ValueError
        If the category has more than `options.max_products` products.
    """
    began = time.perf_counter()
    draws = sample(panel, priors, likelihood, options, start=start, on_progress=on_progress)
    warnings = _warnings(draws)
    diagnostics = FitDiagnostics(
        engine="nuts",
        likelihood=likelihood,
        zero_truncated=panel.zero_truncated,
        device=f"{jax.local_devices()[0].device_kind} x1",
        iterations=options.chains * options.samples,
        converged=not warnings,
        elbo=float("nan"),
        seconds=time.perf_counter() - began,
        warnings=warnings,
    )
    return _posterior(panel, priors, draws, diagnostics)


def sample(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: NutsOptions,
    *,
    start: CategoryPosterior | None = None,
    on_progress: Progress | None = None,
) -> Draws:
    """Draw from one category's posterior; parameters and errors as for `fit`."""
    if panel.n_products > options.max_products:
        raise ValueError(
            f"category {panel.category!r} has {panel.n_products} products, above max_products "
            f"{options.max_products} of NUTS; use engine natural_gradient, or raise it and wait for hours"
        )
    priors = priors.over(season.length(panel.period))
    experiments = panel.experiment.size > 0
    model = Model(priors, likelihood, zero_truncated=panel.zero_truncated, experiments=experiments)
    sales = stack_panels([panel], centred_price=priors.centred_price)
    rows, columns = places([panel], sales, 0)
    mean, sd = jax.device_get(jax.jit(starting_values, static_argnames="model")(model, sales))
    if start is not None:
        mean, sd = resume_from(start, panel, rows, columns, mean, sd)
    effects = _effects(priors, mean, sd)
    rng = np.random.default_rng(options.seed)
    init = [_initial_values(rng, effects, mean, sd) for _ in range(options.chains)]
    if on_progress is not None:
        on_progress(0, float("nan"))
    drawn, diverging = _run_chains(
        model,
        replace(options, seed=0, max_products=0),
        sales,
        {name: effect.centred for name, effect in effects.items()},
        jax.tree.map(lambda *of_chains: np.stack(of_chains), *init) if options.chains > 1 else init[0],
        jax.random.key(options.seed),
    )
    drawn = {name: np.asarray(value) for name, value in drawn.items()}
    if on_progress is not None:
        on_progress(options.chains * options.samples, float("nan"))
    return _draws(drawn, priors, rows, columns, int(np.asarray(diverging).sum()), len(panel.control))


@partial(jax.jit, static_argnames=("model", "options"))
def _run_chains(
    model: Model,
    options: NutsOptions,
    sales: Sales,
    centred: dict[str, jax.Array],
    init: dict[str, jax.Array],
    key: jax.Array,
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Draws by site, shape (chains, samples, ...), and whether each diverged; one program for all."""
    noncentred = reparam(model, config={name: LocScaleReparam(value) for name, value in centred.items()})
    sampler = MCMC(
        NUTS(noncentred, target_accept_prob=options.target_accept),
        num_warmup=options.warmup,
        num_samples=options.samples,
        num_chains=options.chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    sampler.run(key, sales, init_params=init, extra_fields=("diverging",))
    return sampler.get_samples(group_by_chain=True), sampler.get_extra_fields()["diverging"]


@dataclass(frozen=True)
class _Effect:
    """Where a group of effects starts in the hierarchy, and how centred each of them is (0 to 1)."""

    centre: np.ndarray
    scale: np.ndarray
    centred: np.ndarray


def _effects(priors: Priors, mean: dict[str, np.ndarray], sd: dict[str, np.ndarray]) -> dict[str, _Effect]:
    """Centre each by the share that its own data have in its precision, 1 - Var(posterior)/Var(prior); logs not."""

    def known_or(name: str, prior: object) -> float:
        return prior.value if isinstance(prior, Fixed) else float(np.exp(mean[name][0]))

    level = mean["delta_c"][0] if "delta_c" in mean else priors.level_mean
    of = {
        "beta": (mean["beta_c"][0], known_or("tau", priors.product_spread)),
        "delta": (level, known_or("sigma_delta", priors.level_spread)),
        "gamma": (0.0, known_or("sigma_gamma", priors.period_spread)),
    }
    if "log_r" in mean:
        of["log_r"] = (mean["mu_r"][0], known_or("s_r", priors.log_dispersion_spread))
    if priors.season is not None:
        of["season"] = (0.0, known_or("sigma_w", priors.season.spread))
    if priors.slow_demand is not None:
        of["log_sigma_u"] = (mean["mu_u"][0], known_or("s_u", priors.slow_demand.log_sd_spread))

    def centred(name: str, scale: float) -> np.ndarray:
        share = np.zeros_like(sd[name]) if name in ("log_r", "log_sigma_u") else 1.0 - (sd[name] / scale) ** 2
        return np.clip(share, 0.0, 1.0).astype(mean[name].dtype)

    return {
        name: _Effect(
            np.full(mean[name].shape, centre), np.full(mean[name].shape, scale), centred(name, scale)
        )
        for name, (centre, scale) in of.items()
    }


def _initial_values(
    rng: np.random.Generator,
    effects: dict[str, _Effect],
    mean: dict[str, np.ndarray],
    sd: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """One chain's start, in the sampler's coordinates: the rough posterior's draw."""
    values = {}
    for name, centre in mean.items():
        value = centre + sd[name] * rng.standard_normal(np.shape(centre))
        if name in effects:
            effect = effects[name]
            away = (value - effect.centre) / effect.scale ** (1.0 - effect.centred)
            values[f"{name}_decentered"] = (effect.centred * effect.centre + away).astype(centre.dtype)
        else:
            values[name] = np.asarray(value, centre.dtype)
    return values


def _draws(
    drawn: dict[str, np.ndarray],
    priors: Priors,
    rows: np.ndarray,
    columns: np.ndarray,
    divergences: int,
    K: int,
) -> Draws:
    shape = drawn["beta_c"].shape[:2]

    def scalar(name: str, otherwise: float) -> np.ndarray:
        return drawn[name][..., 0] if name in drawn else np.full(shape, otherwise)

    def scale(name: str, prior: object) -> np.ndarray:
        return scalar(name, prior.value if isinstance(prior, Fixed) else 0.0)

    return Draws(
        elasticity=drawn["beta"][..., rows],
        category_elasticity=drawn["beta_c"][..., 0],
        level_mean=scalar("delta_c", priors.level_mean),
        tau=scale("tau", priors.product_spread),
        level_spread=scale("sigma_delta", priors.level_spread),
        period_spread=scale("sigma_gamma", priors.period_spread),
        log_dispersion_mean=scalar("mu_r", priors.log_dispersion_mean),
        log_dispersion_spread=scale("s_r", priors.log_dispersion_spread),
        control_effect=drawn["alpha"][:, :, 0] if K else np.zeros((*shape, 0)),
        level=drawn["delta"][..., rows],
        dispersion=np.exp(drawn["log_r"][..., rows])
        if "log_r" in drawn
        else np.full((*shape, len(rows)), np.inf),
        period_effect=drawn["gamma"][:, :, 0, columns],
        divergences=divergences,
        **_slow_demand(drawn, priors, rows, columns),
        **_season(drawn, priors, rows),
    )


def _slow_demand(
    drawn: dict[str, np.ndarray], priors: Priors, rows: np.ndarray, columns: np.ndarray
) -> dict[str, Any]:
    if priors.slow_demand is None:
        return {}
    spread = priors.slow_demand.log_sd_spread
    known = spread.value if isinstance(spread, Fixed) else 0.0
    return {
        "slow_demand": drawn["slow_demand"].mean(axis=(0, 1))[np.ix_(rows, columns)].astype(np.float32),
        "slow_demand_sd": np.exp(drawn["log_sigma_u"].mean(axis=(0, 1))[rows].astype(np.float64)),
        "slow_demand_persistence": float(expit(drawn["logit_phi"]).mean()),
        "slow_demand_centre": float(drawn["mu_u"].mean()),
        "slow_demand_spread": float(drawn["s_u"].mean()) if "s_u" in drawn else known,
    }


def _season(drawn: dict[str, np.ndarray], priors: Priors, rows: np.ndarray) -> dict[str, Any]:
    if priors.season is None:
        return {}
    spread = priors.season.spread
    return {
        "season": drawn["season"].mean(axis=(0, 1))[:, rows].T.astype(np.float64),
        "season_spread": spread.value if isinstance(spread, Fixed) else float(drawn["sigma_w"].mean()),
    }


def _warnings(draws: Draws) -> tuple[str, ...]:
    """Say in words what the chains' diagnostics show; nothing if all is well."""
    r_hat, ess = float(np.max(draws.r_hat())), float(np.min(draws.effective_sample_size()))
    warnings = []
    if not r_hat <= _LARGEST_R_HAT:
        warnings.append(
            f"the chains disagree: R-hat {r_hat:.3f}, above {_LARGEST_R_HAT}; take more warm-up and samples"
        )
    if not ess >= _SMALLEST_ESS:
        warnings.append(
            f"too few independent draws: the least effective sample size is {ess:.0f}, below {_SMALLEST_ESS}"
        )
    if draws.divergences:
        warnings.append(
            f"{draws.divergences} divergent transitions: a part of the posterior was not explored"
        )
    return tuple(warnings)


def _posterior(panel: Panel, priors: Priors, draws: Draws, diagnostics: FitDiagnostics) -> CategoryPosterior:
    """Sort the draws by tau into bins of equal weight, and take each bin's moments."""

    def flat(value: np.ndarray) -> np.ndarray:
        return np.concatenate(value).astype(np.float64)

    tau = flat(draws.tau)
    count = min(max(len(tau) // _DRAWS_PER_POINT, 1), _MOST_POINTS) if np.ptp(tau) > 0 else 1
    bins = np.array_split(np.argsort(tau, kind="stable"), count)
    log_dispersion = np.log(flat(draws.dispersion))
    beta, beta_c, alpha = flat(draws.elasticity), flat(draws.category_elasticity), flat(draws.control_effect)
    category_var = np.array([beta_c[own].var() for own in bins])

    def covariance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Covariances in each bin, (bins, columns of one, columns of other)."""
        return np.array(
            [(one[own] - one[own].mean(0)).T @ (other[own] - other[own].mean(0)) / len(own) for own in bins]
        )

    return CategoryPosterior(
        category=panel.category,
        product=panel.product,
        period=panel.period,
        control=panel.control,
        prior_mean=priors.category_mean,
        prior_var=priors.category_var,
        tau=np.array([tau[own].mean() for own in bins]),
        weight=np.array([len(own) for own in bins]) / len(tau),
        category_mean=np.array([beta_c[own].mean() for own in bins]),
        category_var=category_var,
        product_mean=np.array([beta[own].mean(axis=0) for own in bins]),
        product_var=np.array([beta[own].var(axis=0) for own in bins]),
        product_gain=covariance(beta, beta_c[:, None])[..., 0] / category_var[:, None],
        control_mean=np.array([alpha[own].mean(axis=0) for own in bins]),
        control_cov=covariance(alpha, alpha),
        control_gain=covariance(alpha, beta_c[:, None])[..., 0] / category_var[:, None],
        product_control_cov=covariance(beta, alpha),
        level=flat(draws.level).mean(axis=0),
        period_effect=flat(draws.period_effect).mean(axis=0),
        dispersion=np.exp(log_dispersion.mean(axis=0)),
        log_dispersion_sd=log_dispersion.std(axis=0)
        if np.isfinite(log_dispersion).all()
        else np.zeros(panel.n_products),
        level_mean=float(draws.level_mean.mean()),
        level_spread=float(draws.level_spread.mean()),
        period_spread=float(draws.period_spread.mean()),
        log_dispersion_mean=float(draws.log_dispersion_mean.mean()),
        log_dispersion_spread=float(draws.log_dispersion_spread.mean()),
        trace=np.zeros(0),
        diagnostics=diagnostics,
        slow_demand=draws.slow_demand,
        slow_demand_sd=draws.slow_demand_sd,
        slow_demand_persistence=draws.slow_demand_persistence,
        slow_demand_centre=draws.slow_demand_centre,
        slow_demand_spread=draws.slow_demand_spread,
        season=draws.season,
        season_spread=draws.season_spread,
    )
