"""Expectations of the log likelihood and its derivatives when eta is Gaussian.

For units y with log expectation eta ~ N(m, v): E log p(y | eta), its gradient g = E d/d eta and its
negative curvature h = -E d^2/d eta^2. Plain Poisson has them in closed form; the others go by 7-point
Gauss-Hermite quadrature. Formulas are arranged so that float32 loses nothing at 1e7 units or at 0.01.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus

from elasticity_assets.inference import likelihood as density

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_LARGEST_ETA = 60.0  # exp(60) times 1e7 products stays within float32
_SHIFT = 6  # digamma's asymptotic series is good to float32 from here on


@dataclass(frozen=True)
class Family:
    """A likelihood: hashable, so that compiled code is found again."""

    negative_binomial: bool
    zero_truncated: bool


class Expectations(NamedTuple):
    """Per cell, all of one shape.

    Attributes
    ----------
    log_lik : array
        E log p(y | eta), less the part that holds no parameter.
    gradient, curvature : arrays
        E d log p/d eta and -E d^2 log p/d eta^2.
    dispersion_gradient, dispersion_curvature : arrays
        E d log p/d log r and -E d^2 log p/d (log r)^2; 0 for Poisson.
    """

    log_lik: jax.Array
    gradient: jax.Array
    curvature: jax.Array
    dispersion_gradient: jax.Array
    dispersion_curvature: jax.Array


def expectations(
    family: Family, units: jax.Array, mean: jax.Array, var: jax.Array | None, log_size: jax.Array
) -> Expectations:
    """Take expectations over eta ~ N(mean, var).

    Parameters
    ----------
    family : Family
        Static.
    units, mean : arrays, shape (..., W)
    var : array, shape (..., W), or None
        None stands for zero: derivatives at the mean.
    log_size : array, shape (..., 1)
        log r; not read for Poisson.
    """
    mean = jnp.minimum(mean, _LARGEST_ETA)
    if not family.negative_binomial and not family.zero_truncated:
        return _poisson(units, mean, var)
    cell = _negative_binomial if family.negative_binomial else _truncated_poisson
    if var is None:
        return cell(family, units, mean, log_size)
    sd = jnp.sqrt(var)
    total = None
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        at_node = cell(family, units, jnp.minimum(mean + np.float32(node) * sd, _LARGEST_ETA), log_size)
        part = jax.tree.map(lambda value, w=np.float32(weight): w * value, at_node)
        total = part if total is None else jax.tree.map(jnp.add, total, part)
    return total


def _poisson(units: jax.Array, mean: jax.Array, var: jax.Array | None) -> Expectations:
    half = 0.0 if var is None else jnp.minimum(0.5 * var, _LARGEST_ETA - mean)
    rate = jnp.exp(mean + half)
    deviation = mean - jnp.log(jnp.where(units > 0, units, 1.0))
    log_lik = jnp.where(units > 0, units * (deviation - jnp.expm1(deviation + half)), -rate)
    zero = jnp.zeros_like(rate)
    return Expectations(log_lik, units - rate, rate, zero, zero)


def _truncated_poisson(family: Family, units: jax.Array, eta: jax.Array, _: jax.Array) -> Expectations:
    rate = jnp.exp(eta)
    small = rate < 0.2
    low = jnp.where(small, rate, 0.2)
    safe = jnp.where(small, 0.2, rate)
    # Mean of the truncated distribution, and its derivative, by series where they cancel.
    a = safe / -jnp.expm1(-safe)
    mean = jnp.where(small, 1.0 + low * (1 / 2 + low * (1 / 12 - low**2 / 720)), a)
    slope = jnp.where(
        small,
        low * (1 / 2 + low * (1 / 6 - low**2 / 180)),
        a * (1.0 - safe / jnp.expm1(jnp.minimum(safe, 80.0))),
    )
    zero = jnp.zeros_like(rate)
    return Expectations(density.poisson(units, eta, zero_truncated=True), units - mean, slope, zero, zero)


def _negative_binomial(family: Family, units: jax.Array, eta: jax.Array, log_size: jax.Array) -> Expectations:
    r = jnp.exp(log_size)
    t = eta - log_size
    s, s_bar, sp = sigmoid(t), sigmoid(-t), softplus(t)
    ss = s * s_bar
    log_lik = density.negative_binomial(units, eta, log_size, zero_truncated=family.zero_truncated)
    gradient = units * s_bar - r * s
    curvature = (units + r) * ss
    digamma, trigamma = _polygamma_rise(units, r)
    d1 = -units * s_bar + r * (s - sp) + r * digamma
    d2 = (units + r) * ss - r * (2.0 * s - sp) - r * digamma - r * r * trigamma
    if family.zero_truncated:
        # log lik gains -log(1 - exp(-a)), a = r softplus(t); odds = P(0) / P(not 0).
        a = r * sp
        odds = 1.0 / jnp.expm1(jnp.clip(a, 1e-30, 80.0))
        gradient = gradient - odds * r * s
        curvature = curvature + _truncation_curvature(a, odds, r, s, s_bar, sp)
        slope, bend = r * (sp - s), r * (sp - 2.0 * s + ss)
        d1 = d1 - odds * slope
        d2 = d2 + odds * bend - odds * (1.0 + odds) * slope**2
    return Expectations(log_lik, gradient, curvature, d1, d2)


def _truncation_curvature(
    a: jax.Array, odds: jax.Array, r: jax.Array, s: jax.Array, s_bar: jax.Array, sp: jax.Array
) -> jax.Array:
    """Second derivative of log(1 - exp(-a)) by eta, where a = r softplus(eta - log r)."""
    slope, bend = r * s, r * s * s_bar
    exact = odds * (bend - (1.0 + odds) * slope**2)
    # For small a: that of log a, and the next terms; for small s, log softplus by its own series.
    safe = jnp.maximum(sp, 1e-6)
    log_softplus = jnp.where(s < 0.03, -s * (1 / 2 - s * (1 / 3 + s / 24)), (s * s_bar - s**2 / safe) / safe)
    series = log_softplus - bend / 2.0 + (a * bend + slope**2) / 12.0
    return jnp.where(a < 0.1, series, exact)


def _polygamma_rise(units: jax.Array, r: jax.Array) -> tuple[jax.Array, jax.Array]:
    """digamma(y + r) - digamma(r), and the same of trigamma, without cancelling."""
    digamma = trigamma = jnp.zeros_like(units)
    for k in range(_SHIFT):
        low, high = 1.0 / (r + k), 1.0 / (units + r + k)
        digamma = digamma + units * low * high
        trigamma = trigamma - units * low * high * (low + high)
    low, high = 1.0 / (r + _SHIFT), 1.0 / (units + r + _SHIFT)
    rise = units * low * high  # 1 / (r + 6) - 1 / (y + r + 6)
    total, square = low + high, low**2 + high**2
    digamma = digamma + jnp.log1p(units * low) + rise * (1 / 2 + total * (1 / 12 - square / 120))
    trigamma = trigamma - rise * (1.0 + total / 2 + (square + low * high) / 6 - low**4 / 6)
    return digamma, trigamma
