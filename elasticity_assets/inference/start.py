"""Starting values: a few sweeps of penalized iteratively reweighted least squares, one effect after the other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference.model import Model, Sales, linear_predictor
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import Fixed, HalfNormal

_SWEEPS = 12


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
    units, x, observed, member = sales.units, sales.log_price, sales.observed, sales.member
    C, W = sales.period.shape
    K = sales.controls.shape[-1]
    real = member.sum(axis=1) > 0
    per_category = jnp.maximum(member.sum(axis=0), 1.0)
    cells = jnp.maximum(observed.sum(axis=1), 1)
    size = jnp.exp(priors.log_dispersion_mean) if model.likelihood == "negative_binomial" else jnp.inf

    def of_rows(value: jax.Array) -> jax.Array:
        return jnp.einsum("nc,c...->n...", member, value, precision="highest")

    def by_category(value: jax.Array) -> jax.Array:
        return jnp.einsum("nc,n...->c...", member, value, precision="highest")

    beta_prior = _typical(priors.product_spread) ** -2
    delta_prior = _typical(priors.level_spread) ** -2
    gamma_prior = _typical(priors.period_spread) ** -2
    beta = jnp.where(real, priors.category_mean, 0.0)
    level = jnp.log(jnp.maximum(units.sum(axis=1), 0.5) / cells)
    # At the observed prices, so that an uncentred price starts at the right level as well.
    delta = jnp.where(real, level - beta * x.sum(axis=1) / cells, 0.0)
    sweep_start = (beta, delta, jnp.zeros((C, W)), jnp.zeros((C, K)))

    def score_and_weight(values: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        mean = jnp.exp(jnp.clip(linear_predictor(sales, *values), -20.0, 30.0))
        shrink = jnp.where(observed, 1.0 / (1.0 + mean / size), 0.0)
        return (units - mean) * shrink, mean * shrink

    def product_precision(weight: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        return (
            (weight * x * x).sum(axis=1) + beta_prior,
            (weight * x).sum(axis=1),
            weight.sum(axis=1) + delta_prior,
        )

    def sweep(_: int, values: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        beta, delta, gamma, alpha = values
        score, weight = score_and_weight(values)
        slope, cross, level = product_precision(weight)
        beta_c = of_rows(by_category(beta) / per_category)
        delta_c = of_rows(by_category(delta) / per_category)
        g_beta = (score * x).sum(axis=1) - beta_prior * (beta - beta_c)
        g_delta = score.sum(axis=1) - delta_prior * (delta - delta_c)
        determinant = slope * level - cross**2
        beta = beta + jnp.where(
            real, jnp.clip((level * g_beta - cross * g_delta) / determinant, -1.0, 1.0), 0.0
        )
        delta = delta + jnp.where(
            real, jnp.clip((slope * g_delta - cross * g_beta) / determinant, -2.0, 2.0), 0.0
        )

        score, weight = score_and_weight((beta, delta, gamma, alpha))
        step = (by_category(score) - gamma_prior * gamma) / (by_category(weight) + gamma_prior)
        gamma = gamma + jnp.where(sales.period, jnp.clip(step, -1.0, 1.0), 0.0)
        if K:
            score, weight = score_and_weight((beta, delta, gamma, alpha))
            z = sales.controls
            gradient = by_category(jnp.einsum("nwk,nw->nk", z, score)) - alpha / priors.control_sd**2
            curvature = (
                by_category(jnp.einsum("nwk,nwl,nw->nkl", z, z, weight)) + jnp.eye(K) / priors.control_sd**2
            )
            alpha = alpha + jnp.clip(jnp.linalg.solve(curvature, gradient[..., None])[..., 0], -1.0, 1.0)
        return beta, delta, gamma, alpha

    beta, delta, gamma, alpha = jax.lax.fori_loop(0, _SWEEPS, sweep, sweep_start)
    _, weight = score_and_weight((beta, delta, gamma, alpha))
    slope, _, level = product_precision(weight)
    beta_c, delta_c = by_category(beta) / per_category, by_category(delta) / per_category

    def spread(value: jax.Array, centre: jax.Array, noise: jax.Array) -> jax.Array:
        excess = (value - of_rows(centre)) ** 2 - noise
        variance = by_category(jnp.where(real, excess, 0.0)) / per_category
        return 0.5 * jnp.log(jnp.maximum(variance, 0.01))

    def one(value: jax.Array) -> jax.Array:
        return jnp.broadcast_to(value, (C,))

    counted = jnp.maximum(sales.period.sum(axis=1), 1)
    gamma_var = jnp.maximum((gamma**2).sum(axis=1) / counted, 1e-3)
    mean = {
        "beta_c": beta_c,
        "tau": spread(beta, beta_c, 1.0 / slope),
        "delta_c": delta_c,
        "sigma_delta": spread(delta, delta_c, 1.0 / level),
        "sigma_gamma": 0.5 * jnp.log(gamma_var),
        "gamma": gamma,
        "alpha": alpha,
        "mu_r": one(jnp.asarray(priors.log_dispersion_mean)),
        "s_r": one(jnp.log(0.5)),
        "beta": beta,
        "delta": delta,
        "log_r": jnp.where(real, priors.log_dispersion_mean, 0.0),
        "beta_g": beta_c.mean(),
        "tau_c": jnp.log(0.5 * _typical(priors.category_spread)),
    }
    of_scale = 1.0 / jnp.sqrt(2.0 * per_category)
    sd = {
        "beta_c": jnp.exp(mean["tau"]) / jnp.sqrt(per_category) + 0.01,
        "tau": of_scale,
        "delta_c": jnp.exp(mean["sigma_delta"]) / jnp.sqrt(per_category) + 0.01,
        "sigma_delta": of_scale,
        "sigma_gamma": 1.0 / jnp.sqrt(2.0 * counted),
        "gamma": jnp.where(
            sales.period, (by_category(weight) + jnp.exp(-2.0 * mean["sigma_gamma"])[:, None]) ** -0.5, 1.0
        ),
        "alpha": (by_category(jnp.einsum("nwk,nw->nk", sales.controls**2, weight)) + priors.control_sd**-2)
        ** -0.5,
        "mu_r": one(0.5 / jnp.sqrt(per_category)),
        "s_r": of_scale,
        "beta": jnp.where(real, slope**-0.5, 1.0),
        "delta": jnp.where(real, level**-0.5, 1.0),
        "log_r": jnp.where(real, (0.25 * cells + 4.0) ** -0.5, 1.0),
        "beta_g": jnp.asarray(0.5),
        "tau_c": jnp.asarray(0.5),
    }
    names = model.latent_sites(K)
    return {name: mean[name] for name in names}, {name: sd[name] for name in names}


def _typical(prior: HalfNormal | Fixed) -> float:
    return prior.value if isinstance(prior, Fixed) else prior.scale


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
