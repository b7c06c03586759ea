"""Starting values: sweeps of penalized iteratively reweighted least squares, one effect after the other."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference.density.model import Model, Sales, linear_predictor, of_rows
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import Fixed, HalfNormal, Season, SlowDemand

_SWEEPS = 12


class _Effects(NamedTuple):
    """Shapes (N,), (N,), (C, W) and (C, K)."""

    beta: jax.Array
    delta: jax.Array
    gamma: jax.Array
    alpha: jax.Array


def starting_values(model: Model, sales: Sales) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Rough mode of the model's latent variables and their rough conditional sds.

    Parameters
    ----------
    model : Model
        Static.
    sales : Sales

    Returns
    -------
    mean, sd : dicts of site name to array
        In unconstrained space: scales are logs. Both hold every latent site of the model.
    """
    priors = model.priors
    C, K = sales.member.shape[1], sales.controls.shape[-1]
    real = sales.member.sum(axis=1) > 0
    products, periods = _products(sales), jnp.maximum(sales.period.sum(axis=1), 1)
    effects = jax.lax.fori_loop(
        0, _SWEEPS, lambda _, now: _sweep(model, sales, now), _flat_prices(model, sales)
    )
    _, weight = _score_and_weight(model, sales, effects)
    slope, _, level = _product_precision(model, sales, weight)
    beta_c, delta_c = _category_mean(sales, effects.beta), _category_mean(sales, effects.delta)

    def log_spread(value: jax.Array, centre: jax.Array, noise: jax.Array) -> jax.Array:
        excess = jnp.where(real, (value - of_rows(sales, centre)) ** 2 - noise, 0.0)
        return 0.5 * jnp.log(jnp.maximum(_by_category(sales, excess) / products, 0.01))

    log_tau = log_spread(effects.beta, beta_c, 1.0 / slope)
    log_sigma_delta = log_spread(effects.delta, delta_c, 1.0 / level)
    log_sigma_gamma = 0.5 * jnp.log(jnp.maximum((effects.gamma**2).sum(axis=1) / periods, 1e-3))
    gamma_precision = _by_category(sales, weight) + jnp.exp(-2.0 * log_sigma_gamma)[:, None]
    alpha_precision = jnp.einsum("nwk,nw->nk", sales.controls**2, weight)
    of_scale = (2.0 * products) ** -0.5
    both = {
        "beta": (effects.beta, jnp.where(real, slope**-0.5, 1.0)),
        "delta": (effects.delta, jnp.where(real, level**-0.5, 1.0)),
        "gamma": (effects.gamma, jnp.where(sales.period, gamma_precision**-0.5, 1.0)),
        "alpha": (effects.alpha, (_by_category(sales, alpha_precision) + priors.control_sd**-2) ** -0.5),
        "beta_c": (beta_c, jnp.exp(log_tau) * products**-0.5 + 0.01),
        "delta_c": (delta_c, jnp.exp(log_sigma_delta) * products**-0.5 + 0.01),
        "tau": (log_tau, of_scale),
        "sigma_delta": (log_sigma_delta, of_scale),
        "sigma_gamma": (log_sigma_gamma, (2.0 * periods) ** -0.5),
        "mu_r": (jnp.full(C, priors.log_dispersion_mean), 0.5 * products**-0.5),
        "s_r": (jnp.full(C, jnp.log(0.5)), of_scale),
        "log_r": (
            jnp.where(real, priors.log_dispersion_mean, 0.0),
            jnp.where(real, (0.25 * sales.weight.sum(axis=1) + 4.0) ** -0.5, 1.0),
        ),
        **_slow_demand(priors.slow_demand, sales),
        **_season(priors.season, sales),
        "beta_g": (beta_c.mean(), jnp.asarray(0.5)),
        "tau_c": (jnp.log(0.5 * _size(priors.category_spread)), jnp.asarray(0.5)),
    }
    names = model.latent_sites(K)
    return {name: both[name][0] for name in names}, {name: both[name][1] for name in names}


def _slow_demand(prior: SlowDemand | None, sales: Sales) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Start without any, but for its sds."""
    if prior is None:
        return {}
    C, real = len(sales.period), sales.member.sum(axis=1) > 0
    return {
        "mu_u": (jnp.full(C, prior.log_sd_mean), jnp.full(C, 0.3)),
        "s_u": (jnp.full(C, jnp.log(0.7 * _size(prior.log_sd_spread))), jnp.full(C, 0.3)),
        "logit_phi": (jnp.full(C, prior.logit_persistence_mean), jnp.full(C, 0.3)),
        "log_sigma_u": (jnp.where(real, prior.log_sd_mean, 0.0), jnp.where(real, 0.3, 1.0)),
        "innovation": (jnp.zeros(sales.units.shape), jnp.full(sales.units.shape, 0.3)),
    }


def _season(prior: Season | None, sales: Sales) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Start without any."""
    if prior is None:
        return {}
    C, N = len(sales.period), len(sales.units)
    return {
        "sigma_w": (jnp.full(C, jnp.log(0.5 * _size(prior.spread))), jnp.full(C, 0.3)),
        "season": (jnp.zeros((2, N)), jnp.full((2, N), 0.1)),
    }


def _flat_prices(model: Model, sales: Sales) -> _Effects:
    """Elasticities at the prior's mean, levels at the products' mean sales, nothing else."""
    (C, W), K = sales.period.shape, sales.controls.shape[-1]
    real = sales.member.sum(axis=1) > 0
    cells = jnp.maximum(sales.weight.sum(axis=1), 1)
    beta = jnp.where(real, model.priors.category_mean, 0.0)
    level = jnp.log(jnp.maximum((sales.weight * sales.units).sum(axis=1), 0.5) / cells)
    # At the mean price, for a model whose prices are not centred.
    delta = jnp.where(real, level - beta * (sales.weight * sales.log_price).sum(axis=1) / cells, 0.0)
    return _Effects(beta, delta, jnp.zeros((C, W)), jnp.zeros((C, K)))


def _sweep(model: Model, sales: Sales, now: _Effects) -> _Effects:
    """One Newton step, of limited length, of products, then of periods, then of controls."""
    priors = model.priors
    real = sales.member.sum(axis=1) > 0
    score, weight = _score_and_weight(model, sales, now)
    slope, cross, level = _product_precision(model, sales, weight)
    above = [of_rows(sales, _category_mean(sales, value)) for value in (now.beta, now.delta)]
    g_beta = (score * sales.log_price).sum(axis=1) - (now.beta - above[0]) / _size(priors.product_spread) ** 2
    g_delta = score.sum(axis=1) - (now.delta - above[1]) / _size(priors.level_spread) ** 2
    determinant = slope * level - cross**2
    beta_step = jnp.clip((level * g_beta - cross * g_delta) / determinant, -1.0, 1.0)
    delta_step = jnp.clip((slope * g_delta - cross * g_beta) / determinant, -2.0, 2.0)
    now = now._replace(
        beta=now.beta + jnp.where(real, beta_step, 0.0), delta=now.delta + jnp.where(real, delta_step, 0.0)
    )

    score, weight = _score_and_weight(model, sales, now)
    prior = _size(priors.period_spread) ** -2
    step = (_by_category(sales, score) - prior * now.gamma) / (_by_category(sales, weight) + prior)
    now = now._replace(gamma=now.gamma + jnp.where(sales.period, jnp.clip(step, -1.0, 1.0), 0.0))
    K = sales.controls.shape[-1]
    if not K:
        return now
    score, weight = _score_and_weight(model, sales, now)
    z, prior = sales.controls, priors.control_sd**-2
    gradient = _by_category(sales, jnp.einsum("nwk,nw->nk", z, score)) - prior * now.alpha
    curvature = _by_category(sales, jnp.einsum("nwk,nwl,nw->nkl", z, z, weight)) + prior * jnp.eye(K)
    step = jnp.linalg.solve(curvature, gradient[..., None])[..., 0]
    return now._replace(alpha=now.alpha + jnp.clip(step, -1.0, 1.0))


def _score_and_weight(model: Model, sales: Sales, effects: _Effects) -> tuple[jax.Array, jax.Array]:
    """Take d log likelihood/d eta and its expected curvature, shape (N, W), without truncation."""
    mean = jnp.exp(jnp.clip(linear_predictor(sales, *effects), -20.0, 30.0))
    counts = model.likelihood == "negative_binomial"
    shrink = 1.0 / (1.0 + mean * jnp.exp(-model.priors.log_dispersion_mean)) if counts else 1.0
    shrink = sales.weight * shrink
    return (sales.units - mean) * shrink, mean * shrink


def _product_precision(
    model: Model, sales: Sales, weight: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Posterior precision of (beta_i, delta_i) alone: its entries 11, 12 and 22, shape (N,) each."""
    weighted = weight * sales.log_price
    return (
        (weighted * sales.log_price).sum(axis=1) + _size(model.priors.product_spread) ** -2,
        weighted.sum(axis=1),
        weight.sum(axis=1) + _size(model.priors.level_spread) ** -2,
    )


def _by_category(sales: Sales, of_row: jax.Array) -> jax.Array:
    """Add up rows: (N, ...) -> (C, ...)."""
    return jnp.einsum("nc,n...->c...", sales.member, of_row, precision="highest")


def _products(sales: Sales) -> jax.Array:
    return jnp.maximum(sales.member.sum(axis=0), 1.0)


def _category_mean(sales: Sales, of_row: jax.Array) -> jax.Array:
    return _by_category(sales, of_row) / _products(sales)


def resume_from(
    posterior: CategoryPosterior,
    panel: Panel,
    rows: np.ndarray,
    columns: np.ndarray,
    mean: dict[str, np.ndarray],
    sd: dict[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Put an earlier posterior over the starting values of its category's model.

    Parameters
    ----------
    posterior : CategoryPosterior
    panel : Panel
        Its category now; products, periods and controls are matched by name.
    rows, columns : int arrays, shapes (n,) and (T,)
        Where the panel's products and periods are.
    mean, sd : dicts of site name to array
        As from `starting_values`.
    """
    mean = {name: np.array(value) for name, value in mean.items()}
    sd = {name: np.array(value) for name, value in sd.items()}

    def put(name: str, where: Any, value: Any, spread: Any = None) -> None:
        if name in mean:
            mean[name][where] = value
            if spread is not None:
                sd[name][where] = spread

    weight = posterior.weight
    put("beta_c", 0, weight @ posterior.category_mean, np.sqrt(weight @ posterior.category_var))
    put("tau", 0, np.log(posterior.product_spread()))
    put("delta_c", 0, posterior.level_mean)
    put("sigma_delta", 0, np.log(posterior.level_spread))
    put("sigma_gamma", 0, np.log(posterior.period_spread))
    if np.isfinite(posterior.dispersion).all():
        put("mu_r", 0, posterior.log_dispersion_mean)
        put("s_r", 0, np.log(posterior.log_dispersion_spread))
    _, now, then = np.intersect1d(panel.product, posterior.product, return_indices=True)
    if posterior.slow_demand.size:
        persistence = posterior.slow_demand_persistence
        put("mu_u", 0, posterior.slow_demand_centre)
        put("s_u", 0, np.log(max(posterior.slow_demand_spread, 1e-3)))
        put("logit_phi", 0, np.log(persistence / (1.0 - persistence)))
        put("log_sigma_u", rows[now], np.log(posterior.slow_demand_sd[then]))
    if posterior.season.size:
        put("sigma_w", 0, np.log(max(posterior.season_spread, 1e-3)))
        put("season", (slice(None), rows[now]), posterior.season[then].T)
    put(
        "beta",
        rows[now],
        (weight @ posterior.product_mean)[then],
        np.sqrt(weight @ posterior.product_var)[then],
    )
    put("delta", rows[now], posterior.level[then])
    if np.isfinite(posterior.dispersion).all():
        put("log_r", rows[now], np.log(posterior.dispersion[then]))
    _, now, then = np.intersect1d(panel.period, posterior.period, return_indices=True)
    put("gamma", (0, columns[now]), posterior.period_effect[then])
    for k, control in enumerate(panel.control):
        if control in posterior.control:
            put("alpha", (0, k), weight @ posterior.control_mean[:, posterior.control.index(control)])
    return mean, sd


def _size(prior: HalfNormal | Fixed) -> float:
    """Return the scale if known, or a large one."""
    return prior.value if isinstance(prior, Fixed) else prior.scale
