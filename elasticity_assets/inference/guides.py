"""Guides of the SVI engine: Gaussians over the model's latent variables, in unconstrained space.

Their parameters are named as NumPyro's automatic guides name them, `beta_auto_loc` and so on.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from numpyro.distributions import constraints
from numpyro.infer.autoguide import AutoLowRankMultivariateNormal, AutoNormal
from numpyro.infer.initialization import init_to_feasible
from numpyro.primitives import Messenger

from elasticity_assets.inference.model import PRODUCT_SITES, Model, Sales

Guide = Callable[[Sales], Any]
Arrays = dict[str, jax.Array]

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
    seeded = numpyro.handlers.seed(model, rng_seed=0)
    if kind == "low_rank":
        low_rank = AutoLowRankMultivariateNormal(seeded, rank=RANK, init_loc_fn=init_to_feasible)

        def joint(sales: Sales) -> None:
            with _PinPadding(_real(sales, model)):
                low_rank(sales)

        return joint

    pair = ["beta", "delta"] if kind == "product_block" else []
    shared = _auto_normal(numpyro.handlers.block(seeded, hide=list(PRODUCT_SITES)))
    alone = [name for name in model.latent_sites() if name in PRODUCT_SITES and name not in pair]
    own = _auto_normal(numpyro.handlers.block(seeded, expose=alone)) if alone else None

    def guide(sales: Sales) -> None:
        with _PinPadding(_real(sales, model)):
            shared(sales)
            with numpyro.handlers.scale(scale=model.rows_scale):
                if own is not None:
                    own(sales)
                if pair:
                    _slope_and_level(sales.member.shape[0])

    return guide


def initial_params(kind: str, mean: Arrays, sd: Arrays) -> Arrays:
    """Parameters of a guide without correlations; `mean` and `sd` by site, in unconstrained space."""
    if kind == "low_rank":
        loc, _ = ravel_pytree(mean)
        return {
            "auto_loc": loc,
            "auto_scale": ravel_pytree(sd)[0],
            "auto_cov_factor": jnp.zeros((loc.size, RANK), loc.dtype),
        }
    params = {f"{name}_auto_loc": value for name, value in mean.items()}
    params |= {f"{name}_auto_scale": value for name, value in sd.items()}
    if kind == "product_block":
        params["delta_auto_slope"] = jnp.zeros_like(mean["delta"])
    return params


def marginals(kind: str, params: Arrays, like: Arrays) -> tuple[Arrays, Arrays]:
    """Means and sds by site, in unconstrained space, of a guide's parameters.

    `like` has an array of the right shape for each site.
    """
    if kind == "low_rank":
        _, by_site = ravel_pytree(like)
        sd = params["auto_scale"] * jnp.sqrt(1.0 + jnp.sum(params["auto_cov_factor"] ** 2, axis=1))
        return by_site(params["auto_loc"]), by_site(sd)
    mean = {name: params[f"{name}_auto_loc"] for name in like}
    sd = {name: params[f"{name}_auto_scale"] for name in like}
    if kind == "product_block":
        sd["delta"] = sd["delta"] * jnp.sqrt(1.0 + params["delta_auto_slope"] ** 2)
    return mean, sd


def _auto_normal(model: Callable[..., Any]) -> AutoNormal:
    return AutoNormal(model, init_loc_fn=init_to_feasible)


def _slope_and_level(n: int) -> None:
    """A Gaussian of (beta_i, delta_i) for each of n products, as beta_i's own and delta_i's given beta_i."""
    positive = AutoNormal.scale_constraint
    zeros, tenth = jnp.zeros(n), jnp.full(n, 0.1)
    beta_loc = numpyro.param("beta_auto_loc", zeros)
    beta_scale = numpyro.param("beta_auto_scale", tenth, constraint=positive)
    loc = numpyro.param("delta_auto_loc", zeros)
    scale = numpyro.param("delta_auto_scale", tenth, constraint=positive)
    slope = numpyro.param("delta_auto_slope", zeros, constraint=constraints.real)
    beta = numpyro.sample("beta", dist.Normal(beta_loc, beta_scale).to_event())
    towards = scale * slope * (beta - beta_loc) / beta_scale
    numpyro.sample("delta", dist.Normal(loc + towards, scale).to_event())


class _PinPadding(Messenger):
    """Hold the guide of padding at N(0, 1), its prior, so that it adds exactly nothing to the ELBO."""

    def __init__(self, real: Arrays) -> None:
        super().__init__()
        self.real = real

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] != "param":
            return
        site, _, kind = msg["name"].rpartition("auto_")
        real = self.real.get(site.removesuffix("_"))
        if real is not None:
            value = msg["value"]
            real = real.reshape(real.shape + (1,) * (value.ndim - real.ndim))
            msg["value"] = jnp.where(real, value, 1.0 if kind == "scale" else 0.0)


def _real(sales: Sales, model: Model) -> Arrays:
    """Which elements of each latent variable are not padding; under '' those of all, flat."""
    rows = sales.member.sum(axis=1) > 0
    C, K = sales.member.shape[1], sales.controls.shape[-1]
    with_padding = {"gamma": sales.period, **dict.fromkeys(PRODUCT_SITES, rows)}
    without = {"alpha": jnp.ones((C, K), bool), "beta_g": jnp.ones((), bool), "tau_c": jnp.ones((), bool)}
    sites = model.latent_sites(K)
    every = {name: (with_padding | without).get(name, jnp.ones(C, bool)) for name in sites}
    return with_padding | {"": ravel_pytree(every)[0]}
