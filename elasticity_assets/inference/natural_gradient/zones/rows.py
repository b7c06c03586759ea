"""Algebra of a row, a product in one zone: its slope e and level l are eliminated before what its product has.

    theta = (e, l),  Z = (x, 1),  P = diag(tau_z^2, sigma_delta^2),  H = diag(h),  Gamma = Z'HZ
    Q = (I + P Gamma)^-1,   V = Q P: the covariance of theta given all else
    F = I - Z V Z'H: what the row cannot take up;   M = H F replaces H for all else,   F Z = Z Q

No prior precision is ever divided by, so that scales may be 0. Arrays of a block of L rows have them last: (W, L).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Row(NamedTuple):
    """Rows given all else.

    Attributes
    ----------
    left : array, shape (2, 2, L)
        Q: what is left of Z is Z Q.
    cov : array, shape (2, 2, L)
        V.
    log_det : array, shape (L,)
        log |I + P Gamma|.
    step : array, shape (2, L)
        Newton step of theta where nothing else moves.
    curvature : array, shape (W, L)
        h.
    """

    left: jax.Array
    cov: jax.Array
    log_det: jax.Array
    step: jax.Array
    curvature: jax.Array


def eliminate(
    price: jax.Array, theta: jax.Array, gradient: jax.Array, curvature: jax.Array, var: jax.Array
) -> Row:
    """Eliminate the rows of a block.

    Parameters
    ----------
    price, gradient, curvature : arrays, shape (W, L)
        x, and g and h of the log likelihood times the cells' weights.
    theta : array, shape (2, L)
    var : array, shape (2,)
        Prior variances of e and l.
    """
    square, cross, total = over_periods(curvature * price**2), *sums(price, curvature)
    a, b, c = var[0] * square, var[1] * total, var[0] * var[1]
    rest = jnp.maximum(square * total - cross**2, 0.0)
    determinant = 1.0 + a + b + c * rest
    left = (
        jnp.stack([jnp.stack([1.0 + b, -var[0] * cross]), jnp.stack([-var[1] * cross, 1.0 + a])])
        / determinant
    )
    cov = jnp.stack([left[:, 0] * var[0], left[:, 1] * var[1]], axis=1)
    score = sums(price, gradient)
    step = _apply(cov, score) - _apply(left, theta)
    return Row(left, cov, jnp.log(determinant), step, curvature)


def sums(price: jax.Array, values: jax.Array) -> jax.Array:
    """Z' values, shape (2, L)."""
    return jnp.stack([over_periods(price * values), over_periods(values)])


def over_periods(values: jax.Array) -> jax.Array:
    """Sum over periods; by a product of matrices, which runs in vectors."""
    return jnp.matmul(jnp.ones(values.shape[-2], values.dtype), values, precision="highest")


def spread(price: jax.Array, of_row: jax.Array) -> jax.Array:
    """Z of_row, shape (W, L), of (2, L)."""
    return of_row[0] * price + of_row[1]


def taken_up(row: Row, price: jax.Array, values: jax.Array) -> jax.Array:
    """V Z'H values, shape (2, L): how rows give way, with the opposite sign."""
    return _apply(row.cov, sums(price, row.curvature * values))


def of_price(row: Row, price: jax.Array) -> jax.Array:
    """F x, shape (W, L)."""
    return spread(price, row.left[:, 0])


def of_constant(row: Row, price: jax.Array) -> jax.Array:
    """F 1, shape (W, L)."""
    return spread(price, row.left[:, 1])


def of_values(row: Row, price: jax.Array, values: jax.Array) -> jax.Array:
    """F values, shape (W, L)."""
    return values - spread(price, taken_up(row, price, values))


def roots(row: Row, price: jax.Array) -> jax.Array:
    """Y with M = H - Y Y', shape (2, W, L)."""
    first = jnp.sqrt(row.cov[0, 0])
    below = row.cov[1, 0] / jnp.maximum(first, 1e-30)
    last = jnp.sqrt(jnp.maximum(row.cov[1, 1] - below**2, 0.0))
    return row.curvature * jnp.stack([price * first + below, jnp.broadcast_to(last, price.shape)])


def _apply(matrix: jax.Array, values: jax.Array) -> jax.Array:
    return jnp.sum(matrix * values[None], axis=1)
