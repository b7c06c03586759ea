"""Moving the scales after a pass, and judging it."""

import jax
import jax.numpy as jnp

from elasticity_assets.inference.density.expectations import Family
from elasticity_assets.inference.natural_gradient import arrow, scales
from elasticity_assets.inference.natural_gradient.state import FAR_AWAY, Found
from elasticity_assets.inference.natural_gradient.zones import period_effects, products
from elasticity_assets.inference.natural_gradient.zones.pace import Pace
from elasticity_assets.inference.natural_gradient.zones.products import Layout
from elasticity_assets.inference.natural_gradient.zones.state import (
    DISPERSION_SPREAD,
    PERIOD_SPREAD,
    TAU,
    ZONE_SPREAD,
    Hyper,
    State,
    sds,
    shared_var_of,
    zeta_of,
)
from elasticity_assets.inference.natural_gradient.zones.sums import Moved, Seen, Step
from elasticity_assets.inference.natural_gradient.zones.tiles import Common

_TAU_TOLERANCE, _SCALE_TOLERANCE = 0.02, 0.0025  # rough posterior sds: shorter steps of scales are not taken


def settle(
    common: Common,
    hyper: Hyper,
    before: State,
    state: State,
    seen: Seen,
    prior: products.Prior,
    zeta: jax.Array,
    corner: arrow.Corner,
    shared: arrow.Shared,
    covariance: products.Covariance,
    moved: Moved,
    step: Step,
    pace: Pace,
    learning: jax.Array,
    family: Family,
    layout: Layout,
    longest: jax.Array,
) -> tuple[State, Found, scales.ScaleStep]:
    """Move the scales, and judge the pass."""
    nb, q = float(family.negative_binomial), len(common.season)
    sd, real = sds(before), common.is_product
    var = jnp.diagonal(shared.cov)
    own_var = jnp.diagonal(covariance.own, axis1=1, axis2=2)
    now = zeta_of(prior, state)
    own, own_before = ((mean**2 + own_var) * real[:, None] for mean in (now, zeta))  # E zeta^2
    n, zones = jnp.sum(real), jnp.sum(common.is_zone)
    is_period = hyper.is_period[layout.period]
    count = jnp.maximum(jnp.sum(is_period) - 1.0, 0.0)

    def of_shared(part: slice, real: jax.Array, unit: jax.Array, shared: jax.Array) -> jax.Array:
        return jnp.vdot(real, shared[part] ** 2 + var[part]) / unit**2

    def squares(own: jax.Array, rows: jax.Array, shared: jax.Array) -> jax.Array:
        return jnp.stack(
            [
                jnp.sum(own[:, 0]),
                rows[0],
                of_shared(layout.zone, common.is_zone, sd[ZONE_SPREAD], shared),
                rows[1],
                jnp.sum(own[:, 1 : 1 + q]),
                of_shared(layout.period, is_period, sd[PERIOD_SPREAD], shared),
                nb * rows[2],
            ]
        )

    freedom_zone = jnp.vdot(common.is_zone, (1.0 - var[layout.zone] / sd[ZONE_SPREAD] ** 2) ** 2)
    freedom_period = jnp.vdot(is_period, (1.0 - var[layout.period] / sd[PERIOD_SPREAD] ** 2) ** 2)
    freedom_own = real @ (1.0 - own_var) ** 2
    freedom = jnp.stack(
        [
            freedom_own[0],
            moved.freedom[0],
            freedom_zone,
            moved.freedom[1],
            jnp.sum(freedom_own[1 : 1 + q]),
            freedom_period * count / jnp.maximum(jnp.sum(is_period), 1.0),
            nb * moved.freedom[2],
        ]
    )
    counts = jnp.stack([n, seen.rows, zones, seen.rows, q * n, count, nb * seen.rows])
    unit = sd**2
    scored = scales.score_scales(
        before.log_scale, hyper.scale, squares(own, moved.squares, state.shared) * unit, counts, freedom
    )
    scale_step = scored.log_scale - before.log_scale
    scale_sds = jnp.abs(scale_step) * jnp.sqrt(scored.information)
    tolerances = jnp.where(jnp.arange(7) == TAU, _TAU_TOLERANCE, _SCALE_TOLERANCE)
    scale_step = jnp.where(scale_sds > tolerances, pace.scales.share[:7] * scale_step, 0.0)
    scale_move = jnp.max(jnp.where(scale_sds > tolerances, scale_sds, 0.0))
    centre_sds = jnp.abs(step.centre) * jax.lax.rsqrt(step.centre_var)
    scale_move = jnp.maximum(scale_move, nb * jnp.maximum(longest[1], centre_sds))

    objective = _objective(
        hyper,
        before,
        seen,
        corner,
        shared,
        squares(own_before, moved.squares_before, before.shared),
        own_before[:, 1 + q :],
        counts,
        common,
        nb,
        layout,
    )
    state, slow_move = period_effects.move(common, hyper, state, prior, now, covariance, pace, learning)
    scale_move = jnp.maximum(scale_move, slow_move)
    found = Found(
        move=jnp.asarray(FAR_AWAY),
        ahead=jnp.asarray(FAR_AWAY),
        scale_move=learning * scale_move,
        objective=objective,
        tau_gradient=scored.gradient[TAU],
        tau_information=scored.information[TAU],
        theta_cov=jnp.zeros(0),
        theta_lead=jnp.zeros(0),
        shared_var=var,
        lead_cov=jnp.zeros(0),
    )
    return state._replace(log_scale=before.log_scale + learning * scale_step), found, scored


def _objective(
    hyper: Hyper,
    state: State,
    seen: Seen,
    corner: arrow.Corner,
    shared: arrow.Shared,
    squares: jax.Array,
    periods: jax.Array,
    counts: jax.Array,
    common: Common,
    nb: float,
    layout: Layout,
) -> jax.Array:
    """ELBO before the step, less what holds no parameter: E log p(y) less the divergence of q from the prior."""
    W, n = layout.periods, jnp.sum(common.is_product)
    lead = layout.zone.start
    prior_var = shared_var_of(hyper, state, layout)
    known = (state.shared - hyper.shared_mean)[:lead] ** 2 + jnp.diagonal(shared.cov)[:lead]
    known = jnp.sum(known / prior_var[:lead] + jnp.log(prior_var[:lead]) - 1.0)
    of_scales = jnp.sum(squares - counts)
    of_periods = jnp.sum(periods) - n * W
    # log |C| holds the priors of zones and gamma, padding included, whose sds cancel but for gamma's mean's.
    log_sd = jnp.log(sds(state))
    between = shared.log_det + 2.0 * log_sd[ZONE_SPREAD] * layout.zones
    between = between + 2.0 * log_sd[PERIOD_SPREAD] * (W - 1.0)
    dispersions = 2.0 * nb * seen.rows * jnp.log(sds(state)[DISPERSION_SPREAD]) + nb * seen.centre.log_det
    divergence = known + of_scales + of_periods + seen.log_det + corner.log_det + between + dispersions
    return seen.log_lik - 0.5 * divergence
