"""Log densities of units sold, exact in float32 from 0.3 to 1e7 units a period.

Every formula is a deviance: textbook forms subtract terms of size y log y, which float32 cannot hold.
With lgamma(z) = (z - 1/2) log z - z + log(2 pi)/2 + d(z), d the Stirling error (Loader 2000, "Fast and
accurate computation of binomial probabilities"), those terms cancel on paper. Units may be fractional.
"""

from collections.abc import Sequence
from typing import NamedTuple

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


def log_of_positive(units: jax.Array) -> jax.Array:
    """Log units, and 0 for none."""
    return jnp.log(jnp.where(units > 0, units, 1.0))


class SizeTerms(NamedTuple):
    """What the negative binomial's log density holds of y and r alone.

    Attributes
    ----------
    by_size, by_units : arrays
        log(1 + y/r) and log(1 + r/y).
    error : array
        Stirling errors, d(y + r) - d(r).
    digamma, trigamma : arrays
        digamma(y + r) - digamma(r) - log(1 + y/r), and its derivative by r; each to some 1e-7 of digamma(r), as log
        densities and their derivatives by log r need them.
    """

    by_size: jax.Array
    by_units: jax.Array
    error: jax.Array
    digamma: jax.Array
    trigamma: jax.Array


def size_terms(units: jax.Array, log_units: jax.Array, log_size: jax.Array) -> SizeTerms:
    """Take terms of y and r; arrays broadcast, and `log_units` is `log_of_positive` of the units."""
    r = jnp.exp(log_size)
    # One condition for all, or derivatives where r is about y would be of neither side.
    above = units > r
    share = log1p_of_share(jnp.where(above, r, units) / jnp.where(above, units, r))
    log_odds = log_units - log_size
    both, of_size = _gamma_remainders(units + r), _gamma_remainders(r)
    return SizeTerms(
        share + jnp.where(above, log_odds, 0.0),
        share + jnp.where(above, 0.0, -log_odds),
        *(jnp.where(units > 0, one - other, 0.0) for one, other in zip(both, of_size, strict=True)),
    )


def negative_binomial_of_terms(
    units: jax.Array, r: jax.Array, terms: SizeTerms, rise: jax.Array, fall: jax.Array
) -> jax.Array:
    """Log density as `negative_binomial`, in fewer operations; exact for r up to some 1e5.

    `rise` and `fall` are softplus(eta - log r) and softplus(log r - eta).
    """
    some = units * (terms.by_units - fall) + r * (terms.by_size - rise) - 0.5 * terms.by_size + terms.error
    return jnp.where(units > 0, some, -r * rise)


def log1p_of_share(x: jax.Array) -> jax.Array:
    """log(1 + x) for x from 0 to 1, to float32's last digit or two: cheaper than `log1p`, which chooses from two ways.

    2 artanh(z) with z = x / (2 + x), by its series: z^2 is at most 1/9.
    """
    z = x / (2.0 + x)
    square = z * z
    series = 1 / 7 + square * (1 / 9 + square * (1 / 11 + square * (1 / 13)))
    return 2.0 * z * (1.0 + square * (1 / 3 + square * (1 / 5 + square * series)))


def stirling_error(x: jax.Array) -> jax.Array:
    """lgamma(x) - (x - 1/2) log x + x - log(2 pi)/2, for x > 0; much cheaper than lgamma."""
    return _gamma_remainders(x).error


class _GammaRemainders(NamedTuple):
    """Stirling error d(x), digamma(x) - log x and trigamma(x) - 1/x."""

    error: jax.Array
    digamma: jax.Array
    trigamma: jax.Array


_STIRLING_SERIES = (
    0.0833332474,
    -0.00277567985,
    0.000772223666,
    -0.000471094197,
    0.000342766793,
    -0.000203773109,
    0.0000770149224,
    -0.0000132394555,
)
"""Of x d(x) as a polynomial of 1/x^2 for x >= 1, fitted by least squares at Chebyshev nodes so that d'' is off by 1e-7
at most; d and d' are off by 1e-8. Stirling's own series begins so: 1/12, -1/360, 1/1260, but diverges."""


def _gamma_remainders(x: jax.Array) -> _GammaRemainders:
    inverse = 1.0 / x
    # Below 1 by the recurrence gamma(x + 1) = x gamma(x).
    small = x < 1.0
    u = jnp.where(small, 1.0 / (x + 1.0), inverse)
    square = u * u
    error, slope, bend = (
        _polynomial([c * factor(k) for k, c in enumerate(_STIRLING_SERIES)], square)
        for factor in (lambda _: 1, lambda k: -(2 * k + 1), lambda k: (2 * k + 1) * (2 * k + 2))
    )
    log_step = jnp.log(1.0 + jnp.where(small, inverse, 0.0))
    return _GammaRemainders(
        u * error + jnp.where(small, (x + 0.5) * log_step - 1.0, 0.0),
        square * slope - 0.5 * u + jnp.where(small, log_step - inverse, 0.0),
        square * (u * bend + 0.5) + jnp.where(small, inverse * inverse * u, 0.0),
    )


def _polynomial(coefficients: Sequence[float], x: jax.Array) -> jax.Array:
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def _expm1(x: jax.Array) -> jax.Array:
    """exp(x) - 1, continued as a straight line where it would overflow, so that gradients stay finite."""
    line = jnp.exp(_LARGEST_EXPONENT) * (1.0 + x - _LARGEST_EXPONENT)
    return jnp.where(x < _LARGEST_EXPONENT, jnp.expm1(jnp.minimum(x, _LARGEST_EXPONENT)), line)


def _log1mexp(x: jax.Array) -> jax.Array:
    """log(1 - exp(-x)) for x > 0."""
    return jnp.log(-jnp.expm1(-jnp.maximum(x, 1e-30)))
