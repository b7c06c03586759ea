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
    W = len(prior.eigenvalue)
    sd, mean = prior.sd[:, 1 + q :], zeta[:, 1 + q :]
    cov = covariance.own[:, 1 + q :, 1 + q :]
    excess = mean**2 + jnp.diagonal(cov, axis1=1, axis2=2) - 1.0
    # Of a_i given slopes and all else: how much of each direction data decide.
    slope = covariance.own[:, 1 + q :, 0]
    given = cov - slope[:, :, None] * slope[:, None] / covariance.own[:, :1, :1]
    decided = (jnp.eye(W) - given) ** 2
    log_sd, share, commons, moves = [], [], [], []
    shares = (
        slow_sd[:, None] ** 2 * prior.eigenvalue / sd**2,
        jnp.broadcast_to(shock_sd[:, None] ** 2 / sd**2, sd.shape),
    )
    phi = jax.nn.sigmoid(state.slow_common.logit_persistence)
    for k, (part, own, of_all) in enumerate(
        zip(shares, (hyper.slow, hyper.shock), (state.slow_common, state.shock_common), strict=True)
    ):
        gradient = jnp.sum(part * excess, axis=1)
        information = 2.0 * jnp.einsum("nj,njk,nk->n", part, decided, part)
        now = jnp.log(jnp.maximum((slow_sd, shock_sd)[k], jnp.exp(LOG_SD_RANGE[0])))
        precision = jnp.exp(-2.0 * of_all.log_spread)
        derivatives = dispersion.SizeDerivatives(gradient * real, information * real)
        centre = dispersion.eliminate(now, of_all.centre, precision, derivatives, real)
        zero = jnp.zeros(())
        step = dispersion.step(
            now, of_all.centre, precision, derivatives, zero, of_all.centre_var, learning * real
        )
        new = jnp.clip(step.log_size, *LOG_SD_RANGE)
        by_logit = of_logit = zero
        if k == 0:
            by_logit, of_logit = _persistence(prior, phi, slow_sd, mean, cov, decided, real, q)
        moved = slow_demand.Moved(
            centre,
            jnp.sum(real * ((new - of_all.centre) ** 2 + step.deviation_var)),
            jnp.sum(real * (1.0 - step.deviation_var * precision) ** 2),
            zero,
            by_logit,
            of_logit,
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
        share.append(jnp.where(own.there, precision / (information + precision), 0.0))
        commons.append(settled)
        moves += [move, jnp.where(own.there & (step.move > _TOLERANCE), learning * step.move, 0.0)]
    state = state._replace(
        log_sd=jnp.stack(log_sd),
        share=jnp.stack(share),
        slow_common=commons[0],
        shock_common=commons[1],
    )
    return state, jnp.max(jnp.stack(moves))


def _persistence(
    prior: products.Prior,
    phi: jax.Array,
    slow_sd: jax.Array,
    mean: jax.Array,
    cov: jax.Array,
    decided: jax.Array,
    real: jax.Array,
    q: int,
) -> tuple[jax.Array, jax.Array]:
    """Gradient and information of logit phi, of sums over products."""
    vector, W = prior.basis[:, q:], len(prior.eigenvalue)
    lag = jnp.abs(jnp.arange(W) - jnp.arange(W)[:, None]).astype(jnp.float32)
    change = lag * phi ** jnp.maximum(lag - 1.0, 0.0) * phi * (1.0 - phi)  # by logit phi
    change = products.matmul(vector.T, products.matmul(change, vector))
    unit = slow_sd[:, None] / prior.sd[:, 1 + q :]
    scaled = unit[:, :, None] * unit[:, None] * change
    second = mean[:, :, None] * mean[:, None] + cov - jnp.eye(W)
    gradient = 0.5 * jnp.einsum("nst,nst->n", scaled, second)
    seen = jnp.clip(jnp.sqrt(jnp.maximum(jnp.diagonal(decided, axis1=1, axis2=2), 0.0)), 0.0, 1.0)
    information = 0.5 * jnp.einsum("nst,ns,nt->n", scaled**2, seen, seen)
    return jnp.vdot(real, gradient), jnp.vdot(real, information)
