"""Posterior variances of rows: of eta, of their own effects and of their elasticities, exact."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from elasticity_assets.inference.natural_gradient.zones import products, rows
from elasticity_assets.inference.natural_gradient.zones.products import Layout
from elasticity_assets.inference.natural_gradient.zones.tiles import Tiles, by_tile, lanes, product_of_lane


class RowCovariance(NamedTuple):
    """Posterior variances of a block's rows.

    Attributes
    ----------
    eta : array, shape (W, L)
    theta : array, shape (2, L)
        Of e and l.
    slope, slope_category : arrays, shape (L,)
        Var beta_iz, and Cov(beta_iz, beta_c).
    way : array, shape (p - 1, L)
        How far e gives way to (delta_c, alpha).
    """

    eta: jax.Array
    theta: jax.Array
    slope: jax.Array
    slope_category: jax.Array
    way: jax.Array


def row_covariance(
    data: Tiles, row: rows.Row, covariance: products.Covariance, cov: jax.Array, layout: Layout
) -> RowCovariance:
    """Posterior variances of a block's rows.

    eta is Z times what is theta's alone, and F (psi + rho omega), with omega = (b_iz, delta_c, alpha).
    """
    price, h, V, p = data.price, row.curvature, row.cov, 2 + layout.controls
    W, L = price.shape
    product = product_of_lane(data)
    # Cov(psi) H Z, (2, W, L)
    weighted = by_tile(data, h * jnp.stack([price, jnp.ones_like(price)]))
    weighted = weighted.transpose(2, 1, 0, 3).reshape(len(data.product), W, -1)
    toward = products.matmul(covariance.periods[data.product], weighted)
    toward = toward.reshape(len(data.product), W, 2, -1).transpose(2, 1, 0, 3).reshape(2, W, L)
    taken = [V[k, 0] * toward[0] + V[k, 1] * toward[1] for k in range(2)]
    inner = [rows.taken_up(row, price, taken[k]) for k in range(2)]  # V Z'H Cov(psi) H Z V, by columns
    diagonal = jnp.diagonal(covariance.periods, axis1=1, axis2=2)
    eta = _quadratic(V, price) + lanes(data, diagonal) - 2.0 * (price * taken[0] + taken[1])
    eta = eta + price * (price * inner[0][0] + 2.0 * inner[0][1]) + inner[1][1]

    # Of the numbers omega: what rows cannot take up of their regressors, and how far theta gives way to each.
    given = jnp.eye(2)[:, :, None] - row.left
    left = [rows.of_price(row, price), rows.of_constant(row, price)]
    way = [given[:, 0], given[:, 1]]
    for z in data.controls:
        way.append(rows.taken_up(row, price, z))
        left.append(z - rows.spread(price, way[-1]))
    of_zone = covariance.zone_others[product, data.zone]  # (L, p)
    with_psi = [covariance.periods_zone[product, data.zone].T]
    with_psi += [lanes(data, covariance.periods_others[:, j]) for j in range(p)]
    psi_way = [rows.taken_up(row, price, values) for values in with_psi]  # the last of beta_c
    places = jnp.array([1, *range(layout.alpha.start, layout.alpha.stop)])
    between = [[covariance.zone[product, data.zone], *of_zone.T[: p - 1]]]
    for j in range(p - 1):
        between.append([of_zone[:, j], *cov[places[j]][places]])
    theta = [V[k, k] + inner[k][k] for k in range(2)]
    for j in range(p):
        eta = eta + 2.0 * left[j] * (with_psi[j] - rows.spread(price, psi_way[j]))
        eta = eta + left[j] * sum(between[j][m] * left[m] for m in range(p))
        for k in range(2):
            theta[k] = theta[k] + way[j][k] * (
                2.0 * psi_way[j][k] + sum(between[j][m] * way[m][k] for m in range(p))
            )
    slope_zone = psi_way[0][0] + sum(way[j][0] * between[0][j] for j in range(p))  # -Cov(e, b_iz)
    slope = covariance.zone[product, data.zone] + theta[0] - 2.0 * slope_zone
    with_category = [of_zone[:, p - 1], *cov[0][places]]
    category = with_category[0] - psi_way[-1][0] - sum(way[j][0] * with_category[j] for j in range(p))
    return RowCovariance(
        jnp.maximum(eta, 0.0),
        jnp.maximum(jnp.stack(theta), 0.0),
        slope,
        category,
        jnp.stack([part[0] for part in way[1:]]),
    )


def _quadratic(V: jax.Array, price: jax.Array) -> jax.Array:
    """Z V Z', its diagonal, shape (W, L)."""
    return price * (price * V[0, 0] + 2.0 * V[0, 1]) + V[1, 1]
