"""A product's slow demand, an AR(1) over the periods, eliminated before its slopes and level.

    u_i ~ N(0, sigma_i^2 R(phi)),  R_st = phi^|s - t|,    log sigma_i ~ N(mu_u, s_u^2)

Its prior precision Q_i is tridiagonal, and so is Q_i + H_i, with H_i = diag(h_it) the curvature of the log likelihood.
With G_i = (Q_i + H_i)^-1, everything else in eta_i acts through (I - G_i H_i) = G_i Q_i: what slow demand cannot take
up. Pivots of Q_i + H_i from the first period on, d_t, and from the last, e_t, give G_tt = 1/(d_t + e_t - k_t), k the
diagonal, and G_st = G_tt prod_{s <= j < t} o/d_j for s <= t, -o beside the diagonal: sums over periods go forwards and
backwards, and sums over products are products of matrices. All in units of c = 1/(sigma_i^2 (1 - phi^2)), so
that nothing overflows where there is no slow demand. Derivation: docs/model.md.

Arrays of a block of n rows have the products last: (W, n), (m, W, n).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference.devices import Leaf
from elasticity_assets.inference.natural_gradient import dispersion, scales
from elasticity_assets.inference.priors import SlowDemand

_CHUNK = 8  # periods
_LOGIT_RANGE = (-1.0, 4.6)  # persistence between 0.27 and 0.99
_LOG_SD_RANGE = (-7.0, 2.0)
_LARGEST_STEP = 0.5
_TOLERANCE = 0.05  # rough posterior sds: elasticities need no more digits of these
_FIRST_SDS, _FIRST_SPREAD = (
    1.5,
    0.5,
)  # prior sds below its mean, and of the spread's prior scale, at the start
_SPREAD_SHARE = 0.5  # of a step of log s_u, which whole ends as far off on the other side


class Prior(NamedTuple):
    """Prior of what all products' slow demand shares; arrays of shape ().

    Attributes
    ----------
    there : bool
        Whether the model has any.
    centre_mean, centre_sd : float arrays
        Of mu_u.
    spread : ScalePriors
        Of s_u, shape (1,).
    persistence_mean, persistence_sd : float arrays
        Of logit phi.
    """

    there: Leaf
    centre_mean: Leaf
    centre_sd: Leaf
    spread: scales.ScalePriors
    persistence_mean: Leaf
    persistence_sd: Leaf

    @classmethod
    def of(cls, prior: SlowDemand | None) -> "Prior":
        """As arrays; those of a model without slow demand are not read."""
        there = np.asarray(prior is not None)
        prior = prior or SlowDemand()
        return cls(
            there,
            np.float32(prior.log_sd_mean),
            np.float32(prior.log_sd_sd),
            scales.scale_priors(prior.log_sd_spread),
            np.float32(prior.logit_persistence_mean),
            np.float32(prior.logit_persistence_sd),
        )


class OfRows(NamedTuple):
    """Slow demand of products in blocks; of no periods where the model has none.

    Attributes
    ----------
    mean : array, shape (blocks, W, n) or (blocks, 0, n)
        E u_it.
    log_sd, share : arrays, shape (blocks, n)
        log sigma_i, and how far it follows the step of mu_u.
    """

    mean: Leaf
    log_sd: Leaf
    share: Leaf


class Common(NamedTuple):
    """What all products' slow demand shares; arrays of shape ().

    Attributes
    ----------
    centre, centre_var, centre_step : arrays
        mu_u, its posterior variance, and its last step, which the products have not followed yet.
    log_spread : array
        log s_u.
    logit_persistence : array
        logit phi.
    """

    centre: Leaf
    centre_var: Leaf
    centre_step: Leaf
    log_spread: Leaf
    logit_persistence: Leaf

    @classmethod
    def at(cls, prior: Prior) -> "Common":
        """Begin with little: what there is shows in a few passes, and what there is not takes many to go."""
        zero = np.float32(0.0)
        spread = np.log(prior.spread.size[0] * np.where(prior.spread.learned[0], _FIRST_SPREAD, 1.0))
        centre = prior.centre_mean - _FIRST_SDS * prior.centre_sd
        return cls(np.float32(centre), zero, zero, np.float32(spread), prior.persistence_mean)


class Ar1(NamedTuple):
    """Slow demand of a block's products at hand.

    Attributes
    ----------
    mean : array, shape (W, n)
    log_sd : array, shape (n,)
    persistence : array, shape ()
        phi.
    """

    mean: jax.Array
    log_sd: jax.Array
    persistence: jax.Array

    @property
    def innovation_var(self) -> jax.Array:
        """1/c = sigma_i^2 (1 - phi^2), shape (n,)."""
        return jnp.exp(2.0 * self.log_sd) * (1.0 - self.persistence**2)

    def prior_times(self, values: jax.Array) -> jax.Array:
        """Q_i times values (..., W, n), in units of c; by differences, which do not cancel."""
        phi = self.persistence
        change = values[..., 1:, :] - values[..., :-1, :]
        none = jnp.zeros_like(values[..., :1, :])
        before = jnp.concatenate([none, change], axis=-2)
        after = jnp.concatenate([change, none], axis=-2)
        ends = jnp.zeros(values.shape[-2]).at[jnp.array([0, -1])].set(1.0)[:, None]
        own = (1.0 - phi) * jnp.where(ends > 0, 1.0, 1.0 - phi)
        return own * values + phi * (before - after)


class Eliminated(NamedTuple):
    """Slow demand of n products given everything else.

    Attributes
    ----------
    ratio : array, shape (W, 2, n)
        o/d_t from the first period on, and o/e_t from the last.
    var : array, shape (W, n)
        G_tt.
    curvature : array, shape (W, n)
        h.
    regressors : array, shape (d + K, W, n)
        What slow demand cannot take up of the slopes' regressors, of the constant, and of the controls: (I - G H) z.
    step : array, shape (W, n)
        Newton step of u where nothing else moves.
    log_det : array, shape (n,)
        log |Q + H| - log |Q|.
    """

    ratio: jax.Array
    var: jax.Array
    curvature: jax.Array
    regressors: jax.Array
    step: jax.Array
    log_det: jax.Array


def eliminate(own: Ar1, regressors: jax.Array, gradient: jax.Array, curvature: jax.Array) -> Eliminated:
    """Eliminate the slow demand of a block.

    Parameters
    ----------
    own : Ar1
    regressors : array, shape (d + K, W, n)
        Of slopes, of the level, and of controls.
    gradient, curvature : arrays, shape (W, n)
        g and h of the log likelihood, times the cells' weights.
    """
    phi, unit = own.persistence, own.innovation_var
    W = len(curvature)
    ends = (jnp.arange(W) == 0) | (jnp.arange(W) == W - 1)
    # A period alone is both ends.
    diagonal = jnp.where(ends, 1.0, 1.0 + phi**2) - (phi**2 if W == 1 else 0.0)
    diagonal = diagonal[:, None] + unit * curvature
    both = jnp.stack([diagonal, diagonal[::-1]], axis=1)

    def pivot(ratio: jax.Array, k: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        d = k - phi * ratio
        return phi / d, (d, phi / d)

    _, (d, ratio) = jax.lax.scan(pivot, jnp.zeros_like(both[0]), both)
    inverse = 1.0 / (d[:, 0] + d[::-1, 1] - diagonal)
    log_det = jnp.sum(jnp.log(d[:, 0]), axis=0) - jnp.log(1.0 - phi**2)
    right = jnp.concatenate(
        [own.prior_times(regressors), (unit * gradient - own.prior_times(own.mean))[None]]
    )
    solved = _solve(ratio, inverse, right)
    return Eliminated(ratio, unit * inverse, curvature, solved[:-1], solved[-1], log_det)


def taken_up(slow: Eliminated, values: jax.Array) -> jax.Array:
    """G H times values, shape (m, W, n)."""
    return _solve(slow.ratio, slow.var, slow.curvature * values)


def squared_sums(slow: Eliminated, values: jax.Array) -> jax.Array:
    """Sum of G_ts^2 times values over periods s, shape (m, W, n)."""
    return _solve(slow.ratio**2, slow.var**2, values)


def over_products(slow: Eliminated) -> jax.Array:
    """Sum of H_i G_i H_i over products, shape (W, W).

    G_st is G_tt times the ratios from s to t. Between chunks of periods it factors, at the end of the chunk of s, so
    that sums are products of matrices, a chunk of rows at a time; only products of ratios, below 1, occur.
    """
    W, n = slow.curvature.shape
    chunks = -(-W // _CHUNK)

    def cut(values: jax.Array) -> jax.Array:
        return jnp.pad(values, ((0, chunks * _CHUNK - W), (0, 0))).reshape(chunks, _CHUNK, n)

    ratio, curvature, own = cut(slow.ratio[:, 0]), cut(slow.curvature), cut(slow.curvature * slow.var)
    from_start, to_end = [jnp.ones_like(ratio[:, 0])], [ratio[:, -1]]
    for t in range(_CHUNK - 1):
        from_start.append(from_start[-1] * ratio[:, t])
        to_end.insert(0, to_end[0] * ratio[:, -2 - t])
    left = curvature * jnp.stack(to_end, axis=1)
    right = own * jnp.stack(from_start, axis=1)

    def of_chunk(later: jax.Array, chunk: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        number, left, right, through = chunk
        found = jnp.matmul(left, later.T, precision="highest")
        return jax.lax.dynamic_update_slice(later * through, right, (number * _CHUNK, 0)), found

    nothing = jnp.zeros_like(right).reshape(chunks * _CHUNK, n)
    _, upper = jax.lax.scan(of_chunk, nothing, (jnp.arange(chunks), left, right, to_end[0]), reverse=True)
    upper = upper.reshape(chunks * _CHUNK, -1)
    along, period = jnp.ones_like(ratio), np.arange(chunks * _CHUNK).reshape(chunks, _CHUNK)
    for lag in range(_CHUNK):
        if lag:
            along = along[:, :-1] * ratio[:, lag - 1 : -1]
        same = jnp.matmul(
            curvature[:, : _CHUNK - lag] * along * own[:, lag:], jnp.ones(n), precision="highest"
        )
        upper = upper.at[period[:, : _CHUNK - lag], period[:, lag:]].set(same)
    upper = upper[:W, :W]
    return upper + jnp.triu(upper, 1).T


class Moved(NamedTuple):
    """Sums over products after a step; they add up over parts of the rows.

    Attributes
    ----------
    centre : Centre
        Of mu_u.
    squares, freedom : arrays, shape ()
        Sums of E (log sigma_i - mu_u)^2, and of (1 - Var/s_u^2)^2.
    energy : array, shape ()
        Sum of E u_i' Q_i u_i less the number of periods, twice what it takes from the ELBO.
    persistence_gradient, persistence_information : arrays, shape ()
        Of logit phi.
    """

    centre: dispersion.Centre
    squares: jax.Array
    freedom: jax.Array
    energy: jax.Array
    persistence_gradient: jax.Array
    persistence_information: jax.Array


def nothing_moved() -> Moved:
    """Begin with sums over no rows."""
    zero = jnp.zeros(())
    return Moved(dispersion.Centre(zero, zero, zero), zero, zero, zero, zero, zero)


def quadratic(own: Ar1, squares: jax.Array, ends: jax.Array, changes: jax.Array) -> jax.Array:
    """Prior's quadratic form u' R^-1 u (1 - phi^2), shape (n,).

    Parameters
    ----------
    own : Ar1
    squares, ends, changes : arrays, shape (n,)
        Of u_t^2, sums over the periods and over both ends; and that of (u_t - u_(t-1))^2.
    """
    phi = own.persistence
    return (1.0 - phi) ** 2 * squares + phi * (1.0 - phi) * ends + phi * changes


def energy_of_mean(own: Ar1) -> jax.Array:
    """E u' Q E u, shape (n,)."""
    changes, ends = _over_periods((own.mean[1:] - own.mean[:-1]) ** 2), own.mean[0] ** 2 + own.mean[-1] ** 2
    return quadratic(own, _over_periods(own.mean**2), ends, changes) / own.innovation_var


def move_scales(
    own: Ar1,
    slow: Eliminated,
    common: Common,
    given_shared: jax.Array,
    taken: Sequence[jax.Array],
    energy: jax.Array,
    is_period: jax.Array,
    real: jax.Array,
    learning: jax.Array,
) -> tuple[Moved, jax.Array, jax.Array, jax.Array]:
    """Move the products' log sigma_i, and sum up what that of all says.

    Parameters
    ----------
    own : Ar1
        With the new mean.
    slow : Eliminated
    common : Common
    given_shared : array, shape (d, d, n)
        Cov(theta_i | s).
    taken : sequence of d arrays, shape (W, n)
        What slow demand takes up of the regressors of theta: G H z.
    energy : array, shape (n,)
        E u' Q u less the number of periods: the gradient of the ELBO by log sigma_i.
    is_period : array, shape (W,)
    real, learning : arrays, shapes (n,) and ()

    Returns
    -------
    moved : Moved
    log_sd, share : arrays, shape (n,)
    move : array, shape ()
        Longest step of log sigma_i, in posterior sds.
    """
    phi = own.persistence
    information = 2.0 * _over_periods(slow.curvature * squared_sums(slow, slow.curvature[None])[0])
    derivatives = dispersion.SizeDerivatives(energy, information)
    precision = jnp.exp(-2.0 * common.log_spread)
    centre = dispersion.eliminate(own.log_sd, common.centre, precision, derivatives, real)
    zero = jnp.zeros_like(common.centre)
    step = dispersion.step(
        own.log_sd, common.centre, precision, derivatives, zero, common.centre_var, learning * real
    )
    log_sd = jnp.clip(step.log_size, *_LOG_SD_RANGE)
    share = precision / (information + precision)

    # Expected squares of u, and of its changes, given what products share.
    squares, changes = own.mean**2 + slow.var, (own.mean[1:] - own.mean[:-1]) ** 2
    changes = changes + slow.var[1:] * (1.0 - 2.0 * slow.ratio[:-1, 0]) + slow.var[:-1]
    change = [part[1:] - part[:-1] for part in taken]
    for a in range(len(taken)):
        for b in range(a + 1):
            both = given_shared[a, b] * (1.0 if a == b else 2.0)
            squares = squares + both * taken[a] * taken[b]
            changes = changes + both * change[a] * change[b]
    last = is_period - jnp.append(is_period[1:], 0.0)
    first = jnp.zeros_like(last).at[0].set(1.0)
    sums = jnp.matmul(jnp.stack([is_period, first + last]), squares, precision="highest")
    changed = jnp.matmul(is_period[1:], changes, precision="highest")
    scaled = quadratic(own, sums[0], sums[1], changed) / own.innovation_var
    rest = 1.0 - phi**2
    # d/d phi of the quadratic form, its scale 1 - phi^2 apart.
    inner = -2.0 * (1.0 - phi) * sums[0] + (1.0 - 2.0 * phi) * sums[1] + changed
    by_phi = phi * (jnp.sum(is_period) - 1.0 - scaled) / rest - 0.5 * inner / own.innovation_var
    by_phi = jnp.where(jnp.sum(is_period) > 1.0, by_phi, 0.0)  # a single period says nothing
    by_logit = phi * (1.0 - phi)
    # Were u seen, a period would hold (1 + phi^2)/(1 - phi^2)^2.
    of_phi = 0.5 * information * (1.0 + phi**2) / rest**2 * by_logit**2
    moved = Moved(
        centre,
        jnp.sum(real * ((log_sd - common.centre) ** 2 + step.deviation_var)),
        jnp.sum(real * (1.0 - step.deviation_var * precision) ** 2),
        jnp.sum(real * energy),
        jnp.sum(real * by_phi) * by_logit,
        jnp.sum(real * of_phi),
    )
    return moved, log_sd, share, jnp.where(step.move > _TOLERANCE, step.move, 0.0)


def settle(
    prior: Prior, common: Common, moved: Moved, products: jax.Array, damping: jax.Array, learning: jax.Array
) -> tuple[Common, jax.Array]:
    """Move what all products' slow demand shares; `moved` sums over all.

    Returns
    -------
    common : Common
    move : array, shape ()
        The longest step, in rough posterior sds.
    """
    step, var = dispersion.solve_centre(moved.centre, common.centre, prior.centre_mean, prior.centre_sd)
    step = learning * step
    spread = scales.score_scales(
        common.log_spread[None], prior.spread, moved.squares[None], products[None], moved.freedom[None]
    )
    spread_step = _SPREAD_SHARE * (spread.log_scale[0] - common.log_spread)
    precision = prior.persistence_sd**-2
    information = moved.persistence_information + precision
    pull = moved.persistence_gradient - precision * (common.logit_persistence - prior.persistence_mean)
    persistence = jnp.clip(pull / information, -_LARGEST_STEP, _LARGEST_STEP)
    persistence = jnp.clip(common.logit_persistence + persistence, *_LOGIT_RANGE) - common.logit_persistence
    sds = jnp.stack(
        [
            jnp.abs(step) * jax.lax.rsqrt(var),
            jnp.abs(spread_step) * jnp.sqrt(spread.information[0]),
            jnp.abs(persistence) * jnp.sqrt(information),
        ]
    )
    # What is left to go is by whole steps.
    far = sds > _TOLERANCE
    damped = jnp.stack([damping[2] * step, damping[0] * spread_step, damping[1] * persistence])
    step, spread_step, persistence = jnp.where(far, damped, 0.0)
    sds = jnp.where(far, sds, 0.0)
    moved_common = Common(
        common.centre + step,
        var,
        step,
        common.log_spread + learning * spread_step,
        common.logit_persistence + learning * persistence,
    )
    moved_common = jax.tree.map(lambda new, old: jnp.where(prior.there, new, old), moved_common, common)
    return moved_common, jnp.where(prior.there, learning * jnp.max(sds), 0.0)


def at_hand(rows: OfRows, common: Common) -> Ar1:
    """Slow demand of a block, after the products have followed the last step of mu_u."""
    log_sd = jnp.clip(rows.log_sd + rows.share * common.centre_step, *_LOG_SD_RANGE)
    return Ar1(rows.mean, log_sd, jax.nn.sigmoid(common.logit_persistence))


def _solve(ratio: jax.Array, inverse: jax.Array, right: jax.Array) -> jax.Array:
    """Sum of right (m, W, n) over periods s, times the products of ratios between s and t, times `inverse`."""
    by_period = jnp.swapaxes(right, 0, 1)

    def along(so_far: jax.Array, at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        ratio, value = at
        return ratio * (so_far + value), so_far

    nothing = jnp.zeros_like(by_period[0] * ratio[0, 0])  # of the type that `shard_map` wants
    _, before = jax.lax.scan(along, nothing, (ratio[:, 0], by_period))
    _, after = jax.lax.scan(along, nothing, (ratio[::-1, 1], by_period), reverse=True)
    return jnp.swapaxes((by_period + before + after) * inverse[:, None], 0, 1)


def _over_periods(values: jax.Array) -> jax.Array:
    return jnp.matmul(jnp.ones(len(values)), values, precision="highest")
