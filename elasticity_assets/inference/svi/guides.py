"""Guides of the SVI engine: Gaussians over the model's latent variables, in unconstrained space.

The mean-field guide is the distribution of NumPyro's AutoNormal. Here its parameters lie in a few arrays and
not in two a latent variable, which takes half as long to compile: those of the products, one row each, in
`products_loc`, `products_scale`; the rest end to end in `shared_loc`, `shared_scale`. Padding is held at
N(0, 1), its prior, so that it adds exactly nothing to the ELBO.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from elasticity_assets.inference.density.model import PRODUCT_SITES, SCALE_SITES, Model, Sales, of_rows

Arrays = dict[str, Any]
Guide = Callable[[Sales], None]

RANK = 8  # of the low-rank guide


def build(kind: str, model: Model, *, partly_centred: bool) -> Guide:
    """Make a guide of the model.

    Parameters
    ----------
    kind : {'mean_field', 'product_block', 'low_rank'}
        A Gaussian for every latent variable alone; a joint one of each product's elasticity and level; or
        one of low rank plus diagonal for all.
    model : Model
    partly_centred : bool
        Whether the Gaussian of beta_i is that of z_i in beta_i = beta_c + tau^(1 - c_i) (z_i - c_i beta_c), with
        c_i in (0, 1) fitted too (Gorinova, Moore and Hoffman 2020). With weak data beta_i depends on beta_c
        and tau, which a Gaussian of its own cannot follow: tau then comes out too large.
    """

    def separate(sales: Sales) -> None:
        real = site_masks(sales, model)
        loc, scale = _gaussian("shared", _join_shared(real))
        shared = _split_shared(_auxiliary("shared", dist.Normal(loc, scale)), real)
        loc, scale = _gaussian("products", _join_products(real))
        gaussian = dist.Normal(loc, scale)
        if kind == "product_block":
            # The second column, delta, given the first, beta.
            slope = jnp.where(real["beta"], numpyro.param("products_slope"), 0.0)
            mixing = (
                jnp.broadcast_to(jnp.eye(loc.shape[1]), (*loc.shape, loc.shape[1])).at[:, 1, 0].set(slope)
            )
            gaussian = dist.MultivariateNormal(loc, scale_tril=scale[..., None] * mixing)
        _declare(shared)
        with numpyro.handlers.scale(scale=model.rows_scale):
            products = _split_products(_auxiliary("products", gaussian), real)
            if partly_centred:
                centring = numpyro.param("products_centring", constraint=constraints.unit_interval)
                log_stretch = (1.0 - centring) * of_rows(sales, shared["tau"])
                beta_c = of_rows(sales, shared["beta_c"])
                beta = beta_c + jnp.exp(log_stretch) * (products.pop("beta") - centring * beta_c)
                numpyro.sample("beta", dist.Delta(beta, -log_stretch).to_event())
            _declare(products)

    def joint(sales: Sales) -> None:
        real = site_masks(sales, model)
        loc, scale = _gaussian("all", _join(real))
        factor = jnp.where(_join(real)[:, None], numpyro.param("all_factor"), 0.0) * scale[:, None]
        gaussian = dist.LowRankMultivariateNormal(loc, factor, scale**2)
        _declare(_split(_auxiliary("all", gaussian), real))

    return joint if kind == "low_rank" else separate


def initial_params(kind: str, sales: Sales, mean: Arrays, sd: Arrays, *, partly_centred: bool) -> Arrays:
    """Parameters of a guide without correlations; `mean` and `sd` by site, in unconstrained space."""
    if kind == "low_rank":
        loc, scale = _join(mean), _join(sd)
        return {"all_loc": loc, "all_scale": scale, "all_factor": jnp.zeros((loc.size, RANK), loc.dtype)}
    params = {"shared_loc": _join_shared(mean), "shared_scale": _join_shared(sd)}
    if partly_centred:
        log_tau, beta_c = of_rows(sales, mean["tau"]), of_rows(sales, mean["beta_c"])
        centring = jnp.full_like(sd["beta"], 0.5)
        shrink = jnp.exp(-(1.0 - centring) * log_tau)
        mean = mean | {"beta": centring * beta_c + (mean["beta"] - beta_c) * shrink}
        sd = sd | {"beta": sd["beta"] * shrink}
        params["products_centring"] = centring
    params |= {"products_loc": _join_products(mean), "products_scale": _join_products(sd)}
    return params | ({"products_slope": jnp.zeros_like(mean["beta"])} if kind == "product_block" else {})


def marginals(
    kind: str, sales: Sales, params: Arrays, sites: Mapping[str, Any], log_tau: Any = None
) -> tuple[Arrays, Arrays]:
    """Means and sds by site, in unconstrained space.

    Parameters
    ----------
    kind : str
    sales : Sales
    params : dict of name to array
        The guide's parameters.
    sites : mapping of site name to array
        Of the right shapes.
    log_tau : array, shape (C,), optional
        Given this log tau; by default over the guide's.
    """
    if kind == "low_rank":
        sd = params["all_scale"] * jnp.sqrt(1.0 + jnp.sum(params["all_factor"] ** 2, axis=1))
        return _split(params["all_loc"], sites), _split(sd, sites)
    mean, sd = (
        _split_shared(params[f"shared_{part}"], sites) | _split_products(params[f"products_{part}"], sites)
        for part in ("loc", "scale")
    )
    if kind == "product_block":
        sd["delta"] = sd["delta"] * jnp.sqrt(1.0 + params["products_slope"] ** 2)
    if "products_centring" in params:
        c = params["products_centring"]
        known = log_tau is not None
        log_mean = (1.0 - c) * of_rows(sales, log_tau if known else mean["tau"])
        log_var = 0.0 if known else ((1.0 - c) * of_rows(sales, sd["tau"])) ** 2
        stretch, square = jnp.exp(log_mean + 0.5 * log_var), jnp.exp(2.0 * log_mean + 2.0 * log_var)
        beta_c, away = of_rows(sales, mean["beta_c"]), mean["beta"] - c * of_rows(sales, mean["beta_c"])
        var_c = of_rows(sales, sd["beta_c"]) ** 2 * (1.0 - 2.0 * c * stretch + c**2 * square)
        var = var_c + square * sd["beta"] ** 2 + (square - stretch**2) * away**2
        mean["beta"], sd["beta"] = beta_c + stretch * away, jnp.sqrt(var)
    return mean, sd


def site_masks(sales: Sales, model: Model) -> dict[str, jax.Array]:
    """Which elements of each latent variable are not padding, bool arrays of the sites' shapes."""
    C, K = sales.member.shape[1], sales.controls.shape[-1]
    rows = sales.member.sum(axis=1) > 0
    padded = {"gamma": sales.period} | dict.fromkeys(PRODUCT_SITES, rows)
    shapes: dict[str, tuple[int, ...]] = {"alpha": (C, K), "beta_g": (), "tau_c": ()}
    sites = model.latent_sites(K)
    return {
        name: padded[name] if name in padded else jnp.ones(shapes.get(name, (C,)), bool) for name in sites
    }


def _auxiliary(name: str, distribution: dist.Distribution) -> jax.Array:
    """Sample what the model does not know under this name; sites are cut from it."""
    distribution = distribution.to_event(len(distribution.batch_shape))
    return numpyro.sample(name, distribution, infer={"is_auxiliary": True})


def _declare(values: Arrays) -> None:
    """Give the model's sites their values; their density is that of the array they were cut from."""
    for name, value in values.items():
        if name in SCALE_SITES:  # exp's Jacobian
            numpyro.sample(name, dist.Delta(jnp.exp(value), -value).to_event(value.ndim))
        else:
            numpyro.sample(name, dist.Delta(value).to_event(value.ndim).mask(False))


def _gaussian(name: str, real: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Location and scale; N(0, 1) where `real` is False."""
    loc = numpyro.param(f"{name}_loc")
    scale = numpyro.param(f"{name}_scale", constraint=constraints.softplus_positive)
    return jnp.where(real, loc, 0.0), jnp.where(real, scale, 1.0)


def _shared_sites(sites: Mapping[str, Any]) -> list[str]:
    """Sort the sites that are not of products, gamma last: its padding then moves no other's draws."""
    return sorted(
        (name for name in sites if name not in PRODUCT_SITES), key=lambda name: (name == "gamma", name)
    )


def _product_sites(sites: Mapping[str, Any]) -> list[str]:
    return [name for name in PRODUCT_SITES if name in sites]


def _join_shared(values: Arrays) -> jax.Array:
    return jnp.concatenate([jnp.ravel(values[name]) for name in _shared_sites(values)])


def _join_products(values: Arrays) -> jax.Array:
    return jnp.stack([values[name] for name in _product_sites(values)], axis=-1)


def _join(values: Arrays) -> jax.Array:
    return jnp.concatenate([_join_shared(values), jnp.ravel(_join_products(values))])


def _split_shared(flat: jax.Array, sites: Mapping[str, Any]) -> Arrays:
    """Undo `_join_shared`; `sites` has an array of the right shape for each."""
    parts, first = {}, 0
    for name in _shared_sites(sites):
        last = first + sites[name].size
        parts[name] = flat[first:last].reshape(sites[name].shape)
        first = last
    return parts


def _split_products(rows: jax.Array, sites: Mapping[str, Any]) -> Arrays:
    return {name: rows[..., k] for k, name in enumerate(_product_sites(sites))}


def _split(flat: jax.Array, sites: Mapping[str, Any]) -> Arrays:
    rows = sites["beta"].size * len(_product_sites(sites))
    shared, products = flat[: flat.size - rows], flat[flat.size - rows :]
    return _split_shared(shared, sites) | _split_products(products.reshape(sites["beta"].size, -1), sites)
