"""Expectations of the log likelihood and its derivatives when eta, and log r, are Gaussian.

For units y with log expectation eta ~ N(m, v): E log p(y | eta), its gradient g = E d/d eta and its
negative curvature h = -E d^2/d eta^2. Plain Poisson has them in closed form; the others go by Gauss-Hermite
quadrature over eta, of as few points as its variance allows and of 7 at most, or by Taylor's series about its mean, and
by two points over log r. Formulas are arranged so that float32 loses nothing at 1e7 units or at 0.01.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference.density import likelihood as density

_POINTS = np.array([1, 4, 5, 7])
_LARGEST_VAR = np.array([0.0, 0.15, 0.35], np.float32)
"""Up to which all but the last of _POINTS serve: the expectation of a logistic curve's slope is off by at most 3e-5
of it, wherever its mean lies; by the last at most 1e-4 up to a variance of 0.9."""


def _rules() -> np.ndarray:
    """Nodes and weights of each of _POINTS, shape (rules, 2, 7), padded with zeros."""
    rules = np.zeros((len(_POINTS), 2, _POINTS.max()), np.float32)
    for rule, points in zip(rules, _POINTS, strict=True):
        nodes, weights = np.polynomial.hermite_e.hermegauss(points)
        rule[:, :points] = nodes, weights / weights.sum()
    return rules


_RULES = _rules()
_LARGEST_ETA = 60.0  # exp(60) times 1e7 products stays within float32
_LARGEST_VAR_OF_SERIES = 0.15  # the next term is 4e-5 of a logistic curve's slope at most


Sums = TypeVar("Sums")
"""A tuple of arrays whose entries are averaged one by one."""


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
    family: Family,
    units: jax.Array,
    mean: jax.Array,
    var: jax.Array | None,
    log_size: jax.Array,
    size_var: jax.Array | None,
) -> Expectations:
    """Take expectations over eta ~ N(mean, var) and log r ~ N(log_size, size_var), independent.

    Parameters
    ----------
    family : Family
        Static.
    units, mean : arrays, shape (W, n)
    var : array, shape (W, n), or None
        None stands for zero: derivatives at the mean.
    log_size : array, shape (n,)
        Mean log r; not read for Poisson, nor is its variance.
    size_var : array, shape (n,), or None
        None stands for zero.
    """
    mean = jnp.minimum(mean, _LARGEST_ETA)
    if family.negative_binomial:
        log_units = density.log_of_positive(units)
        if size_var is None:
            return _negative_binomial(family.zero_truncated, units, log_units, mean, var, log_size)
        sd = jnp.sqrt(size_var)
        low, high = (
            _negative_binomial(family.zero_truncated, units, log_units, mean, var, log_r)
            for log_r in (log_size - sd, log_size + sd)
        )
        return jax.tree.map(lambda a, b: 0.5 * (a + b), low, high)
    if family.zero_truncated:
        return _average(lambda eta: _truncated_poisson(units, eta), mean, var)
    return _poisson(units, mean, var)


def _average(function: Callable[[jax.Array], Sums], mean: jax.Array, var: jax.Array | None) -> Sums:
    """E function(eta), by quadrature; at the mean if `var` is None."""
    if var is None:
        return function(mean)
    sd = jnp.sqrt(var)
    rule = jnp.sum(jnp.max(var) > _LARGEST_VAR)
    nodes, weights = jnp.asarray(_RULES)[rule]

    def add(k: jax.Array, total: Sums) -> Sums:
        at = function(jnp.minimum(mean + nodes[k] * sd, _LARGEST_ETA))
        return jax.tree.map(lambda a, b: a + weights[k] * b, total, at)

    # Like the mean, so that their type under `shard_map` is right.
    nothing = jax.tree.map(lambda part: jnp.zeros_like(mean), jax.eval_shape(function, mean))
    return jax.lax.fori_loop(0, jnp.asarray(_POINTS)[rule], add, nothing)


def _poisson(units: jax.Array, mean: jax.Array, var: jax.Array | None) -> Expectations:
    half = 0.0 if var is None else jnp.minimum(0.5 * var, _LARGEST_ETA - mean)
    rate = jnp.exp(mean + half)
    deviation = mean - jnp.log(jnp.where(units > 0, units, 1.0))
    log_lik = jnp.where(units > 0, units * (deviation - jnp.expm1(deviation + half)), -rate)
    zero = jnp.zeros_like(rate)
    return Expectations(log_lik, units - rate, rate, zero, zero)


def _truncated_poisson(units: jax.Array, eta: jax.Array) -> Expectations:
    rate = jnp.exp(eta)
    small = rate < 0.2
    low, high = jnp.where(small, rate, 0.2), jnp.where(small, 0.2, rate)
    # The truncated mean and its derivative, by series where the closed forms cancel.
    mean = high / -jnp.expm1(-high)
    slope = mean * (1.0 - high / jnp.expm1(jnp.minimum(high, 80.0)))
    mean = jnp.where(small, 1.0 + low * (1 / 2 + low * (1 / 12 - low**2 / 720)), mean)
    slope = jnp.where(small, low * (1 / 2 + low * (1 / 6 - low**2 / 180)), slope)
    zero = jnp.zeros_like(rate)
    return Expectations(density.poisson(units, eta, zero_truncated=True), units - mean, slope, zero, zero)


class _Parts(NamedTuple):
    """What the negative binomial takes expectations of, with t = eta - log r.

    u = (mu - y) / (r + mu), its square, u + log(1 - u), sigmoid(t) sigmoid(-t), softplus(t) less that of E t; and, if
    zero-truncated, what -log(1 - P(0)) adds to the log density and to its derivatives as in `Expectations`.
    """

    excess: jax.Array
    square: jax.Array
    loss: jax.Array
    logistic: jax.Array
    softplus: jax.Array
    truncation: Expectations | None


def _negative_binomial(
    zero_truncated: bool,
    units: jax.Array,
    log_units: jax.Array,
    mean: jax.Array,
    var: jax.Array | None,
    log_size: jax.Array,
) -> Expectations:
    r = jnp.exp(log_size)
    odds = units / r
    terms = density.size_terms(units, log_units, log_size)
    at_mean = _logistic(mean - log_size)

    def parts(at: _Logistic) -> _Parts:
        u = at.up - odds * at.down
        series = -(u**2) * (1 / 2 + u * (1 / 3 + u * (1 / 4 + u * (1 / 5 + u / 6))))
        loss = jnp.where(jnp.abs(u) < 0.1, series, u + terms.by_size - at.rise)
        truncation = _truncation(r, at.up, at.down, at.rise) if zero_truncated else None
        return _Parts(u, u**2, loss, at.up * at.down, at.rise - at_mean.rise, truncation)

    def average() -> _Parts:
        return _average(lambda eta: parts(_logistic(eta - log_size)), mean, var)

    if zero_truncated or var is None:
        e = average()
    else:
        e = jax.lax.cond(
            jnp.max(var) <= _LARGEST_VAR_OF_SERIES,
            lambda: _by_series(parts(at_mean), at_mean, odds, var),
            average,
        )
    # E softplus(t) - softplus(E t) is the same for t and -t.
    log_lik = density.negative_binomial_of_terms(units, r, terms, at_mean.rise, at_mean.fall)
    result = Expectations(
        log_lik - (units + r) * e.softplus,
        -r * e.excess,
        (units + r) * e.logistic,
        r * (e.loss + terms.digamma),
        -r * (e.loss + e.square / (1.0 + odds) + terms.digamma + r * terms.trigamma),
    )
    return jax.tree.map(jnp.add, result, e.truncation) if zero_truncated else result


def _by_series(at_mean: _Parts, logistic: "_Logistic", odds: jax.Array, var: jax.Array) -> _Parts:
    """Take expectations of parts by Taylor's series in eta to its variance's cube, of those at its mean.

    With s = sigmoid(t) and q = s (1 - s), softplus' = s, s' = q, and further derivatives are polynomials of q, times
    w = 1 - 2 s if odd; u = (1 + y/r) s - y/r and s^2 = s - q. What cancels is subtracted on paper.
    """
    q, s = at_mean.logistic, logistic.up
    w = logistic.down - s
    first, second, third = 0.5 * var, var**2 / 8.0, var**3 / 48.0
    # softplus, s and q move by q a, q w b and q c.
    a = first + second * (1.0 - 6.0 * q) + third * (1.0 - q * (30.0 - 120.0 * q))
    b_less_a = -6.0 * q * (second + third * (5.0 - 40.0 * q))
    b = a + b_less_a
    b_less_c = q * (6.0 * first + second * (18.0 - 120.0 * q) + third * (66.0 - q * (1320.0 - 5040.0 * q)))
    c = b - b_less_c
    more = 1.0 + odds
    wb_less_c = b_less_c - 2.0 * s * b
    return _Parts(
        at_mean.excess + more * q * w * b,
        at_mean.square + more * q * (wb_less_c - odds * (wb_less_c + 2.0 * c)),
        at_mean.loss + q * ((odds - 2.0 * more * s) * b + b_less_a),
        q + q * c,
        q * a,
        None,
    )


class _Logistic(NamedTuple):
    """sigmoid(t), sigmoid(-t), softplus(t) and softplus(-t)."""

    up: jax.Array
    down: jax.Array
    rise: jax.Array
    fall: jax.Array


def _logistic(t: jax.Array) -> _Logistic:
    """By one exponential."""
    small = jnp.exp(-jnp.abs(t))
    near = 1.0 / (1.0 + small)
    far = small * near
    rises = t > 0
    least = density.log1p_of_share(small)
    return _Logistic(
        jnp.where(rises, near, far),
        jnp.where(rises, far, near),
        least + jnp.maximum(t, 0.0),
        least + jnp.maximum(-t, 0.0),
    )


def _truncation(r: jax.Array, up: jax.Array, down: jax.Array, rise: jax.Array) -> Expectations:
    """-log(1 - exp(-a)) and its derivatives, with a = r softplus(eta - log r) = -log P(0)."""
    a = jnp.maximum(r * rise, 1e-30)
    odds = 1.0 / jnp.expm1(jnp.minimum(a, 80.0))
    slope, bend = r * up, r * up * down  # of a, by eta
    # Small a: the curvature of log a and the next terms; small t: log softplus by its own series.
    safe = jnp.maximum(rise, 1e-6)
    log_softplus = jnp.where(
        up < 0.03, -up * (1 / 2 - up * (1 / 3 + up / 24)), (up * down - up**2 / safe) / safe
    )
    series = log_softplus - bend / 2.0 + (a * bend + slope**2) / 12.0
    curvature = jnp.where(a < 0.1, series, odds * (bend - (1.0 + odds) * slope**2))
    r_slope, r_bend = r * (rise - up), r * (rise - 2.0 * up + up * down)  # of a, by log r
    return Expectations(
        -jnp.log(-jnp.expm1(-a)),
        -odds * slope,
        curvature,
        -odds * r_slope,
        odds * (r_bend - (1.0 + odds) * r_slope**2),
    )
