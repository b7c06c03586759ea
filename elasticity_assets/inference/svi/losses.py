"""The ELBO of a mean-field guide and Poisson sales in closed form, without Monte Carlo noise."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array
from numpyro.infer.elbo import ELBO

from elasticity_assets.inference.density.model import Model, Sales, of_rows
from elasticity_assets.inference.priors import Fixed, HalfNormal
from elasticity_assets.inference.svi.guides import marginals, site_masks


class ClosedFormELBO(ELBO):
    """A NumPyro loss that needs no draws, as E exp(eta) = exp(m + v/2) for eta ~ N(m, v)."""

    def __init__(self) -> None:
        super().__init__(num_particles=1)

    def loss_with_mutable_state(
        self, rng_key: Array, param_map: dict[str, Array], model: Model, guide: Any, sales: Sales
    ) -> dict[str, Any]:
        """Return the negative ELBO; `rng_key` is not used."""
        mean, sd = marginals("mean_field", sales, param_map, site_masks(sales, model))
        return {"loss": -mean_field_elbo(model, sales, mean, sd), "mutable_state": None}


def mean_field_elbo(model: Model, sales: Sales, mean: dict[str, Array], sd: dict[str, Array]) -> Array:
    """ELBO of independent Gaussians, Poisson sales.

    Parameters
    ----------
    model : Model
    sales : Sales
    mean, sd : dicts of site name to array
        In unconstrained space: scales are logs.
    """
    priors = model.priors
    C, K = sales.member.shape[1], sales.controls.shape[-1]
    nothing = jnp.zeros((C, K))
    rows = sales.member.sum(axis=1) > 0

    def effects(of: dict[str, Array]) -> tuple[Array, ...]:
        return of["beta"], of["delta"], of["gamma"], of.get("alpha", nothing)

    var = {name: value**2 for name, value in sd.items()}
    log_likelihood = model.expected_poisson(sales, effects(mean), effects(var))

    def given(name: str, value: float) -> tuple[Array, Array]:
        """Mean and variance of a site, or of a constant in its place."""
        return (mean[name], var[name]) if name in mean else (jnp.full(C, value), jnp.zeros(C))

    def scale(name: str, prior: HalfNormal | Fixed, size: tuple[int, ...]) -> tuple[Array, Array]:
        """E log sigma and E 1/sigma^2."""
        if isinstance(prior, Fixed):
            return jnp.full(size, jnp.log(prior.value)), jnp.full(size, prior.value**-2.0)
        return mean[name], jnp.exp(-2.0 * mean[name] + 2.0 * var[name])

    def normal(
        name: str, centre: tuple[Any, Any], log_scale: Any, precision: Any, real: Array | bool = True
    ) -> Array:
        """E log prior less E log q of a site with prior N(centre, sigma^2)."""
        squares = (mean[name] - centre[0]) ** 2 + var[name] + centre[1]
        prior = -log_scale - 0.5 * precision * squares
        return jnp.sum(jnp.where(real, prior + jnp.log(sd[name]) + 0.5, 0.0))

    def spread(name: str, prior: HalfNormal | Fixed) -> Array:
        """E log prior of log sigma less E log q."""
        if isinstance(prior, Fixed):
            return jnp.zeros(())
        square = jnp.exp(2.0 * mean[name] + 2.0 * var[name])
        log_prior = jnp.log(2.0 / prior.scale) + mean[name] - 0.5 * square / prior.scale**2
        return jnp.sum(log_prior + jnp.log(sd[name]) + 0.5)

    def known(value: float) -> tuple[Array, Array]:
        return jnp.log(value), jnp.asarray(value**-2.0)

    centre: tuple[Any, Any] = (priors.category_mean, 0.0)
    by_category = known(priors.category_var**0.5)
    total = jnp.zeros(())
    if model.joint:
        total += normal("beta_g", (priors.global_mean, 0.0), *known(priors.global_sd))
        total += spread("tau_c", priors.category_spread)
        centre, by_category = (mean["beta_g"], var["beta_g"]), scale("tau_c", priors.category_spread, ())
    total += normal("beta_c", centre, *by_category)
    if priors.level_sd > 0:
        total += normal("delta_c", (priors.level_mean, 0.0), *known(priors.level_sd))
    if K:
        total += normal("alpha", (0.0, 0.0), *known(priors.control_sd))
    gamma_scale = scale("sigma_gamma", priors.period_spread, (C,))
    total += normal("gamma", (0.0, 0.0), gamma_scale[0][:, None], gamma_scale[1][:, None], sales.period)
    for name, prior in (
        ("tau", priors.product_spread),
        ("sigma_delta", priors.level_spread),
        ("sigma_gamma", priors.period_spread),
    ):
        total += spread(name, prior)
    own = jnp.zeros(())
    for name, above, at, spread_name, prior in (
        ("beta", "beta_c", priors.category_mean, "tau", priors.product_spread),
        ("delta", "delta_c", priors.level_mean, "sigma_delta", priors.level_spread),
    ):
        middle, uncertainty = given(above, at)
        log_scale, precision = scale(spread_name, prior, (C,))
        of = partial(of_rows, sales)
        own += normal(name, (of(middle), of(uncertainty)), of(log_scale), of(precision), rows)
    return total + model.rows_scale * (own + log_likelihood)
