"""Guides of the SVI engine: Gaussians over the model's latent variables, in unconstrained space.

The mean-field guide is the distribution of NumPyro's AutoNormal. Written out it needs no trial run of the
model, which halves the time to compile, and padding is held at N(0, 1), its prior, so that it adds exactly
nothing to the ELBO. Parameters are named `<site>_loc`, `<site>_scale`, `<site>_slope`, `<site>_factor`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from numpyro.distributions import constraints

from elasticity_assets.inference.model import PRODUCT_SITES, SCALE_SITES, Model, Sales

Arrays = dict[str, Any]
Guide = Callable[[Sales], None]

RANK = 8  # of the low-rank guide


def build(kind: str, model: Model) -> Guide:
    """Make a guide of the model.

    Parameters
    ----------
    kind : {'mean_field', 'product_block', 'low_rank'}
        A Gaussian for every latent variable alone; a joint one of each product's elasticity and level; or
        one of low rank plus diagonal for all.
    model : Model
    """
    return {"mean_field": _mean_field, "product_block": _product_block, "low_rank": _low_rank}[kind](model)


def initial_params(kind: str, mean: Arrays, sd: Arrays) -> Arrays:
    """Parameters of a guide without correlations; `mean` and `sd` by site, in unconstrained space."""
    if kind == "low_rank":
        loc, _ = ravel_pytree(mean)
        scale, _ = ravel_pytree(sd)
        return {"all_loc": loc, "all_scale": scale, "all_factor": jnp.zeros((loc.size, RANK), loc.dtype)}
    params = {f"{name}_loc": value for name, value in mean.items()}
    params |= {f"{name}_scale": value for name, value in sd.items()}
    return params | ({"delta_slope": jnp.zeros_like(mean["delta"])} if kind == "product_block" else {})


def marginals(kind: str, params: Arrays, sites: Arrays) -> tuple[Arrays, Arrays]:
    """Means and sds by site, in unconstrained space.

    Parameters
    ----------
    kind : str
    params : dict of name to array
        The guide's parameters.
    sites : dict of site name to array
        Of the right shapes.
    """
    if kind == "low_rank":
        _, by_site = ravel_pytree(sites)
        sd = params["all_scale"] * jnp.sqrt(1.0 + jnp.sum(params["all_factor"] ** 2, axis=1))
        return by_site(params["all_loc"]), by_site(sd)
    mean = {name: params[f"{name}_loc"] for name in sites}
    sd = {name: params[f"{name}_scale"] for name in sites}
    if kind == "product_block":
        sd["delta"] = sd["delta"] * jnp.sqrt(1.0 + params["delta_slope"] ** 2)
    return mean, sd


def _mean_field(model: Model) -> Guide:
    def guide(sales: Sales) -> None:
        real = _real(sales, model)
        for name in real:
            with numpyro.handlers.scale(scale=model.rows_scale if name in PRODUCT_SITES else 1.0):
                _sample(name, *_gaussian(name, real[name]))

    return guide


def _product_block(model: Model) -> Guide:
    """Mean field, but delta_i given beta_i moves with it."""

    def guide(sales: Sales) -> None:
        real = _real(sales, model)
        beta = jnp.zeros(())
        for name in real:  # sorted: beta comes before delta
            with numpyro.handlers.scale(scale=model.rows_scale if name in PRODUCT_SITES else 1.0):
                loc, scale = _gaussian(name, real[name])
                if name == "beta":
                    beta = (_sample(name, loc, scale) - loc) / scale
                elif name == "delta":
                    slope = jnp.where(real[name], numpyro.param("delta_slope"), 0.0)
                    _sample(name, loc + scale * slope * beta, scale)
                else:
                    _sample(name, loc, scale)

    return guide


def _low_rank(model: Model) -> Guide:
    def guide(sales: Sales) -> None:
        masks = _real(sales, model)
        real, _ = ravel_pytree(masks)
        _, by_site = ravel_pytree(jax.tree.map(lambda mask: mask.astype(sales.units.dtype), masks))
        loc, scale = _gaussian("all", real)
        factor = jnp.where(real[:, None], numpyro.param("all_factor"), 0.0) * scale[:, None]
        flat = numpyro.sample(
            "all", dist.LowRankMultivariateNormal(loc, factor, scale**2), infer={"is_auxiliary": True}
        )
        for name, value in by_site(flat).items():
            # The Jacobian of exp goes with the scales.
            scales = name in SCALE_SITES
            point = dist.Delta(
                jnp.exp(value) if scales else value, -value if scales else jnp.zeros_like(value)
            )
            numpyro.sample(name, point.to_event())

    return guide


def _gaussian(name: str, real: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Location and scale of a site."""
    loc = numpyro.param(f"{name}_loc")
    scale = numpyro.param(f"{name}_scale", constraint=constraints.softplus_positive)
    return jnp.where(real, loc, 0.0), jnp.where(real, scale, 1.0)


def _sample(name: str, loc: jax.Array, scale: jax.Array) -> jax.Array:
    gaussian = dist.LogNormal if name in SCALE_SITES else dist.Normal
    return numpyro.sample(name, gaussian(loc, scale).to_event())


def _real(sales: Sales, model: Model) -> dict[str, jax.Array]:
    """Which elements of each latent variable are not padding; sites sorted."""
    C, K = sales.member.shape[1], sales.controls.shape[-1]
    rows = sales.member.sum(axis=1) > 0
    shapes: dict[str, tuple[int, ...]] = {"alpha": (C, K), "beta_g": (), "tau_c": ()}
    padded = {"gamma": sales.period} | dict.fromkeys(PRODUCT_SITES, rows)
    sites = model.latent_sites(K)
    return {
        name: padded[name] if name in padded else jnp.ones(shapes.get(name, (C,)), bool) for name in sites
    }
