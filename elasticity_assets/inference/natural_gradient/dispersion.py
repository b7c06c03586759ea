"""Learning the dispersions: one Newton step of all log r_i and their mean mu_r at once.

log r_i ~ N(mu_r, s_r^2) and mu_r ~ N(m, s^2), so the precision is an arrow as well: one number a product,
eliminated first, and mu_r. With G_i and c_i the gradient and curvature of product i's expected log
likelihood by log r_i, and p = 1/s_r^2, its own precision is c_i + p.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

SMALLEST_STEP = 0.01  # posterior sds
_LARGEST_STEP = 1.0
_RANGE = (-8.0, 20.0)  # beyond, float32 sees no difference in any likelihood


class SizeDerivatives(NamedTuple):
    """Derivatives of each product's expected log likelihood by log r_i.

    Attributes
    ----------
    gradient, curvature : arrays, shape (n,)
        G_i and c_i; 0 for padding.
    """

    gradient: jax.Array
    curvature: jax.Array


class Centre(NamedTuple):
    """mu_r with its system; `precision` and `rhs` sum over blocks before `solve_centre`.

    Attributes
    ----------
    precision, rhs : arrays, shape ()
        Of mu_r's step.
    log_det : array, shape ()
        Sum of log (c_i + p).
    """

    precision: jax.Array
    rhs: jax.Array
    log_det: jax.Array


class SizeStep(NamedTuple):
    """Products after a step.

    Attributes
    ----------
    log_size, var : arrays, shape (n,)
        Mean and variance of log r_i.
    deviation_var : array, shape (n,)
        Var(log r_i - mu_r).
    move : array, shape ()
        Longest step, in posterior sds given mu_r.
    """

    log_size: jax.Array
    var: jax.Array
    deviation_var: jax.Array
    move: jax.Array


def eliminate(
    log_size: jax.Array,
    centre: jax.Array,
    precision: jax.Array,
    derivatives: SizeDerivatives,
    real: jax.Array,
) -> Centre:
    """Sum a block's part of mu_r's system; p - p^2 / (c_i + p) as p c_i / (c_i + p), which does not cancel."""
    curvature = jnp.maximum(derivatives.curvature, 0.0)
    share = precision / (curvature + precision)
    rhs = share * (curvature * (log_size - centre) + derivatives.gradient)
    return Centre(jnp.sum(share * curvature), jnp.sum(rhs), jnp.sum(real * jnp.log(curvature + precision)))


def solve_centre(
    total: Centre, centre: jax.Array, prior_mean: jax.Array, prior_sd: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Step of mu_r and its posterior variance."""
    precision = total.precision + prior_sd**-2
    step = (total.rhs - (centre - prior_mean) * prior_sd**-2) / precision
    return jnp.clip(step, -_LARGEST_STEP, _LARGEST_STEP), 1.0 / precision


def step(
    log_size: jax.Array,
    centre: jax.Array,
    precision: jax.Array,
    derivatives: SizeDerivatives,
    centre_step: jax.Array,
    centre_var: jax.Array,
    learning: jax.Array,
) -> SizeStep:
    """Move the products of a block; `learning`, shape (n,), is 0 where log r_i stays."""
    curvature = jnp.maximum(derivatives.curvature, 0.0)
    own = curvature + precision
    newton = (derivatives.gradient - precision * (log_size - centre - centre_step)) / own
    # Shorter steps change nothing that matters, and would keep the means from settling.
    newton = jnp.where(jnp.abs(newton) * jnp.sqrt(own) > SMALLEST_STEP, newton, 0.0)
    moved = jnp.clip(log_size + learning * jnp.clip(newton, -_LARGEST_STEP, _LARGEST_STEP), *_RANGE)
    var, deviation_var = (1.0 / own + (part / own) ** 2 * centre_var for part in (precision, curvature))
    return SizeStep(moved, var, deviation_var, jnp.max(jnp.abs(moved - log_size) * jnp.sqrt(own)))
