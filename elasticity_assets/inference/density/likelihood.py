"""Log densities of units sold, exact in float32 from 0.3 to 1e7 units a period.

Every formula is a deviance: textbook forms subtract terms of size y log y, which float32 cannot hold.
With lgamma(z) = (z - 1/2) log z - z + log(2 pi)/2 + d(z), d the Stirling error (Loader 2000, "Fast and
accurate computation of binomial probabilities"), those terms cancel on paper. Units may be fractional.
"""

import jax
import jax.numpy as jnp
from jax.nn import softplus

_LARGEST_EXPONENT = 40.0  # exp(40) times the largest units stays within float32


def log_base(units: jax.Array) -> jax.Array:
    """Part of the log density that holds no parameter, y log y - y - lgamma(y + 1), any shape."""
    positive = units > 0
    y = jnp.where(positive, units, 1.0)
    return jnp.where(positive, -0.5 * jnp.log(2.0 * jnp.pi * y) - stirling_error(y), 0.0)


def poisson(units: jax.Array, eta: jax.Array, *, zero_truncated: bool = False) -> jax.Array:
    """Log density of Poisson(exp(eta)) less `log_base(units)`; arrays broadcast."""
    positive = units > 0
    # Deviation from the saturated model, -y (exp(d) - 1 - d) with d = eta - log y.
    deviation = eta - jnp.log(jnp.where(positive, units, 1.0))
    value = jnp.where(positive, units * (deviation - _expm1(deviation)), -_expm1(eta) - 1.0)
    return value - _log1mexp(_expm1(eta) + 1.0) if zero_truncated else value


def expected_poisson(
    units: jax.Array, mean: jax.Array, half_var: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Take E log Poisson(exp(eta)) less `log_base(units)`, eta ~ N(mean, 2 half_var), with its derivatives.

    Parameters
    ----------
    units, mean, half_var : arrays
        Broadcast.

    Returns
    -------
    by_mean, by_var : arrays
        Derivatives by the mean and by the variance of eta.
    value : array
        As of `poisson` at mean + half_var, less units times half_var.
    """
    positive = units > 0
    scale = jnp.where(positive, units, 1.0)
    deviation = mean - jnp.log(scale)
    above = deviation + half_var
    beyond = jnp.maximum(above - _LARGEST_EXPONENT, 0.0)
    by_mean = -scale * jnp.expm1(above - beyond) - jnp.where(positive, 0.0, 1.0)
    value = units * deviation + by_mean - scale * jnp.exp(_LARGEST_EXPONENT) * beyond
    return by_mean, 0.5 * (by_mean - units), value


def negative_binomial(
    units: jax.Array, eta: jax.Array, log_size: jax.Array, *, zero_truncated: bool = False
) -> jax.Array:
    """Log density of NegBinomial(mean exp(eta), size exp(log_size)) less `log_base(units)`; arrays broadcast.

    The variance is mean + mean^2 / size.
    """
    positive = units > 0
    y = jnp.where(positive, units, 1.0)
    r = jnp.exp(log_size)
    minus_log_zero = r * softplus(eta - log_size)  # -log P(0)
    some = (
        y * (jnp.log1p(r / y) - softplus(log_size - eta))
        + r * (jnp.log1p(y / r) - softplus(eta - log_size))
        - 0.5 * jnp.log1p(y / r)
        + stirling_error(y + r)
        - stirling_error(r)
    )
    value = jnp.where(positive, some, -minus_log_zero)
    return value - _log1mexp(minus_log_zero) if zero_truncated else value


def stirling_error(x: jax.Array) -> jax.Array:
    """lgamma(x) - (x - 1/2) log x + x - log(2 pi)/2, for x > 0; much cheaper than lgamma."""
    small = x < 8.0
    low = jnp.where(small, x, 1.0)
    product = low
    for k in range(1, 8):
        product = product * (low + k)
    shifted = (low + 7.5) * jnp.log(low + 8.0) - 8.0 - (low - 0.5) * jnp.log(low) - jnp.log(product)
    inverse = 1.0 / jnp.where(small, low + 8.0, x)
    series = inverse * (1 / 12 - inverse**2 * (1 / 360 - inverse**2 / 1260))
    return series + jnp.where(small, shifted, 0.0)


def _expm1(x: jax.Array) -> jax.Array:
    """exp(x) - 1, continued as a straight line where it would overflow, so that gradients stay finite."""
    line = jnp.exp(_LARGEST_EXPONENT) * (1.0 + x - _LARGEST_EXPONENT)
    return jnp.where(x < _LARGEST_EXPONENT, jnp.expm1(jnp.minimum(x, _LARGEST_EXPONENT)), line)


def _log1mexp(x: jax.Array) -> jax.Array:
    """log(1 - exp(-x)) for x > 0."""
    return jnp.log(-jnp.expm1(-jnp.maximum(x, 1e-30)))
