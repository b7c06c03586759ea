"""Guides of the SVI engine: Gaussians over the model's latent variables, in unconstrained space."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.initialization import init_to_feasible
from numpyro.primitives import Messenger

from elasticity_assets.inference.model import PRODUCT_SITES, Model, Sales

Guide = Callable[[Sales], Any]


class PinPadding(Messenger):
    """Hold the guide of padded latent variables at N(0, 1), their prior, so that they add exactly nothing."""

    def __init__(self, fn: Callable[..., Any], real: dict[str, jax.Array]) -> None:
        super().__init__(fn)
        self.real = real

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        """Replace the locations and scales of padding."""
        if msg["type"] == "param":
            site, _, kind = msg["name"].partition("_auto_")
            if site in self.real:
                msg["value"] = jnp.where(self.real[site], msg["value"], 1.0 if kind == "scale" else 0.0)


def real_elements(sales: Sales) -> dict[str, jax.Array]:
    """Which elements of a latent variable are not padding, for those that have padding."""
    rows = sales.member.sum(axis=1) > 0
    return {"gamma": sales.period, **dict.fromkeys(PRODUCT_SITES, rows)}


def mean_field(model: Model) -> Guide:
    """A Gaussian for every latent variable alone."""
    seeded = numpyro.handlers.seed(model, rng_seed=0)
    shared = AutoNormal(
        numpyro.handlers.block(seeded, hide=list(PRODUCT_SITES)), init_loc_fn=init_to_feasible
    )
    products = AutoNormal(
        numpyro.handlers.block(seeded, expose=list(PRODUCT_SITES)), init_loc_fn=init_to_feasible
    )

    def guide(sales: Sales) -> None:
        with PinPadding(None, real_elements(sales)):
            shared(sales)
            with numpyro.handlers.scale(scale=model.rows_scale):
                products(sales)

    return guide
