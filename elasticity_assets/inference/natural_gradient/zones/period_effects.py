"""Learning the sds of products' slow demand and shocks, and slow demand's persistence.

In the eigenbasis of R(phi) only expected squares count; log sigma_i and log nu_i then move as log dispersions do.
"""

import jax
import jax.numpy as jnp

from elasticity_assets.inference.natural_gradient import dispersion, slow_demand
from elasticity_assets.inference.natural_gradient.zones import products
from elasticity_assets.inference.natural_gradient.zones.pace import Pace
from elasticity_assets.inference.natural_gradient.zones.state import LOG_SD_RANGE, Hyper, State, period_sds
from elasticity_assets.inference.natural_gradient.zones.tiles import Common

_TOLERANCE = 0.05  # rough posterior sds


def move(
    common: Common,
    hyper: Hyper,
    state: State,
    prior: products.Prior,
    zeta: jax.Array,
    covariance: products.Covariance,
    pace: Pace,
    learning: jax.Array,
) -> tuple[State, jax.Array]:
    """Move log sigma_i, log nu_i and what they share."""
    q, real = len(common.season), common.is_product
    slow_sd, shock_sd = period_sds(hyper, state)
    sd, mean = prior.sd[:, 1 + q :], zeta[:, 1 + q :]
    unit = slow_sd[:, None] / sd
    shares = unit**2 * prior.eigenvalue, jnp.broadcast_to(shock_sd[:, None] ** 2 / sd**2, sd.shape)
    phi = jax.nn.sigmoid(state.slow_common.logit_persistence)
    excess, information, by_logit, of_logit = _look(
        covariance.own, mean, jnp.stack(shares, axis=1), unit, _change(prior, phi, q), q
    )
    log_sd, share, commons, moves = [], [], [], []
    for k, (part, own, of_all) in enumerate(
        zip(shares, (hyper.slow, hyper.shock), (state.slow_common, state.shock_common), strict=True)
    ):
        gradient = jnp.sum(part * excess, axis=1)
        of_sd = 2.0 * information[:, k]
        now = jnp.log(jnp.maximum((slow_sd, shock_sd)[k], jnp.exp(LOG_SD_RANGE[0])))
        precision = jnp.exp(-2.0 * of_all.log_spread)
        derivatives = dispersion.SizeDerivatives(gradient * real, of_sd * real)
        centre = dispersion.eliminate(now, of_all.centre, precision, derivatives, real)
        zero = jnp.zeros(())
        step = dispersion.step(
            now, of_all.centre, precision, derivatives, zero, of_all.centre_var, learning * real
        )
        new = jnp.clip(step.log_size, *LOG_SD_RANGE)
        moved = slow_demand.Moved(
            centre,
            jnp.sum(real * ((new - of_all.centre) ** 2 + step.deviation_var)),
            jnp.sum(real * (1.0 - step.deviation_var * precision) ** 2),
            zero,
            jnp.vdot(real, by_logit) if k == 0 else zero,
            jnp.vdot(real, of_logit) if k == 0 else zero,
        )
        settled, move = slow_demand.settle(
            own,
            of_all,
            moved,
            jnp.sum(real),
            pace.scales.share[7:] if k == 0 else pace.shocks.share,
            learning,
        )
        log_sd.append(jnp.where(own.there, new, state.log_sd[k]))
        share.append(jnp.where(own.there, precision / (of_sd + precision), 0.0))
        commons.append(settled)
        moves += [move, jnp.where(own.there & (step.move > _TOLERANCE), learning * step.move, 0.0)]
    state = state._replace(
        log_sd=jnp.stack(log_sd),
        share=jnp.stack(share),
        slow_common=commons[0],
        shock_common=commons[1],
    )
    return state, jnp.max(jnp.stack(moves))


def _look(
    own: jax.Array, mean: jax.Array, shares: jax.Array, unit: jax.Array, change: jax.Array, q: int
) -> tuple[jax.Array, ...]:
    """See what products' period effects say of their variances, a product at a time, so that it stays in cache.

    Parameters
    ----------
    own : array, shape (n, m, m)
        Cov(zeta_i).
    mean : array, shape (n, W)
        Of a_i in the eigenbasis, in units of its prior's sds.
    shares : array, shape (n, 2, W)
        Of slow demand and of shocks in its prior variances.
    unit : array, shape (n, W)
        sigma_i over its prior's sds.
    change : array, shape (W, W)
        As of `_change`.
    q : int

    Returns
    -------
    excess : array, shape (n, W)
        Expected squares less 1.
    information : array, shape (n, 2)
        Half of that on log sigma_i and log nu_i.
    by_logit, of_logit : arrays, shape (n,)
        Gradient and information of logit phi.
    """

    def of_product(product: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        own, mean, shares, unit = product
        cov, slope = own[1 + q :, 1 + q :], own[1 + q :, 0]
        excess = mean**2 + jnp.diagonal(cov) - 1.0
        # Of a_i given slopes and all else: how much of each direction data decide.
        given = cov - slope[:, None] * slope / own[0, 0]
        decided = (jnp.eye(len(mean)) - given) ** 2
        information = jnp.sum(products.matmul(shares, decided) * shares, axis=1)
        scaled = unit[:, None] * unit * change
        second = mean[:, None] * mean + cov - jnp.eye(len(mean))
        seen = jnp.clip(jnp.sqrt(jnp.maximum(jnp.diagonal(decided), 0.0)), 0.0, 1.0)
        of_logit = 0.5 * jnp.vdot(seen, products.matmul(scaled**2, seen))
        return excess, information, 0.5 * jnp.sum(scaled * second), of_logit

    return jax.lax.map(of_product, (own, mean, shares, unit))


def _change(prior: products.Prior, phi: jax.Array, q: int) -> jax.Array:
    """Give the derivative of R by logit phi, in the eigenbasis, shape (W, W)."""
    vector, W = prior.basis[:, q:], len(prior.eigenvalue)
    lag = jnp.abs(jnp.arange(W) - jnp.arange(W)[:, None]).astype(jnp.float32)
    change = lag * phi ** jnp.maximum(lag - 1.0, 0.0) * phi * (1.0 - phi)
    return products.matmul(vector.T, products.matmul(change, vector))
