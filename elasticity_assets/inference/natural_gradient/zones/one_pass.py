"""One pass over products in zones: look at rows, solve products and what they share, move rows, settle scales."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from elasticity_assets.inference.density.expectations import Family, expectations
from elasticity_assets.inference.natural_gradient import arrow, dispersion
from elasticity_assets.inference.natural_gradient.damping import OfRows
from elasticity_assets.inference.natural_gradient.state import Found
from elasticity_assets.inference.natural_gradient.zones import products, rows
from elasticity_assets.inference.natural_gradient.zones.pace import Pace
from elasticity_assets.inference.natural_gradient.zones.products import Layout
from elasticity_assets.inference.natural_gradient.zones.row_covariance import RowCovariance, row_covariance
from elasticity_assets.inference.natural_gradient.zones.settling import settle
from elasticity_assets.inference.natural_gradient.zones.state import (
    DISPERSION_SPREAD,
    LEVEL_SPREAD,
    ROW_SPREAD,
    Hyper,
    Spreads,
    State,
    layout_of,
    prior_of,
    sds,
    shared_var_of,
    zeta_of,
)
from elasticity_assets.inference.natural_gradient.zones.sums import Moved, Seen, Step
from elasticity_assets.inference.natural_gradient.zones.tiles import (
    Common,
    Tiles,
    by_tile,
    lanes,
    product_of_lane,
)

_LARGEST_MOVE = 2.0  # of log expected units, in one step
_LEAST_SD = 0.01  # float32 holds no thousandth of less


class Kept(NamedTuple):
    """What a block's move needs of its look."""

    row: rows.Row
    size_derivatives: dispersion.SizeDerivatives


def one_pass(
    tiles: Tiles,
    common: Common,
    hyper: Hyper,
    state: State,
    learning: jax.Array,
    gaussian: jax.Array,
    pace: Pace,
    family: Family,
) -> tuple[State, Found, Spreads]:
    """One step of everything; `gaussian`: whether expectations are over eta and log r or at their means."""
    layout = layout_of(tiles, common)
    prior = prior_of(common, hyper, state)
    zeta = zeta_of(prior, state)
    seen, kept = _look(tiles, common, state, gaussian, family, layout)
    factor, corner = products.eliminate(seen.sums, prior, zeta, common.covariates, layout)
    shared_var = shared_var_of(hyper, state, layout)
    shared = arrow.solve_shared(corner, state.shared, hyper.shared_mean, 1.0 / shared_var, hyper.is_period)
    # On Newton passes variances say only how long steps are.
    covariance = products.covariances(factor, prior, shared.cov, common.covariates, layout, gaussian)
    step, move = _step(
        common, hyper, seen, state, prior, factor, shared, covariance, learning, family, layout
    )
    moved, longest, parts, of_rows = _move(
        tiles, common, state, kept, step, covariance, shared.cov, pace.rows, gaussian, learning, layout
    )
    theta, var, log_size, size_var, row_var, row_category = of_rows
    new = state._replace(
        theta=theta,
        var=var,
        log_size=log_size,
        size_var=size_var,
        slope=state.slope + step.slope,
        season=state.season + step.season,
        periods=state.periods + step.periods,
        shared=state.shared + step.shared,
        dispersion_centre=state.dispersion_centre + step.centre,
    )
    new, found, scored = settle(
        common,
        hyper,
        state,
        new,
        seen,
        prior,
        zeta,
        corner,
        shared,
        covariance,
        moved,
        step,
        pace,
        learning,
        family,
        layout,
        longest,
    )
    found = found._replace(move=jnp.maximum(longest[0], move))
    together, together_shared = products.together(parts, factor, prior, shared.cov, common.covariates, layout)
    lead, slope_var = layout.zone.start, prior.sd[:, 0] ** 2 * covariance.own[:, 0, 0]
    spreads = Spreads(
        row_var,
        row_category,
        kept.row.left[:, 0, 0],
        slope_var + 2.0 * covariance.slope[:, 0] + shared.cov[0, 0],
        together,
        together_shared[:, :lead],
        _zone_var(shared.cov, common, layout),
        shared.cov[:lead, :lead],
        scored.gradient,
        scored.information,
    )
    return new, found, spreads


def _zone_var(cov: jax.Array, common: Common, layout: Layout) -> jax.Array:
    """Var b_z, shape (Z,)."""
    W, eta, zone = common.covariates, layout.eta, layout.zone
    of_eta = jnp.sum(W * products.matmul(W, cov[eta, eta]), axis=1)
    both = jnp.sum(W * cov[zone, eta], axis=1)
    return jnp.diagonal(cov)[zone] + of_eta + 2.0 * both


def _look(
    tiles: Tiles, common: Common, state: State, gaussian: jax.Array, family: Family, layout: Layout
) -> tuple[Seen, Kept]:
    """See what rows say at the current means."""
    sd = sds(state)
    theta_var = jnp.stack([sd[ROW_SPREAD], sd[LEVEL_SPREAD]]) ** 2
    r_precision = jnp.exp(-2.0 * state.log_scale[DISPERSION_SPREAD])
    n, p = len(common.is_product), 2 + layout.controls

    def of_block(total: Seen, block: Any) -> tuple[Seen, Kept]:
        data, theta, var, log_size, size_var = block
        eta = linear_predictor(data, common, state, theta, layout)
        cells = jax.lax.cond(
            gaussian,
            lambda: expectations(family, data.units, eta, var, log_size, size_var),
            lambda: expectations(family, data.units, eta, None, log_size, None)._replace(
                log_lik=jnp.full_like(eta, jnp.nan)
            ),
        )
        gradient, curvature = cells.gradient * data.weight, cells.curvature * data.weight
        row = rows.eliminate(data.price, theta, gradient, curvature, theta_var)
        gradient = gradient - curvature * rows.spread(data.price, row.step)
        sizes = dispersion.SizeDerivatives(
            rows.over_periods(cells.dispersion_gradient * data.weight),
            rows.over_periods(cells.dispersion_curvature * data.weight),
        )
        centre = dispersion.eliminate(log_size, state.dispersion_centre, r_precision, sizes, data.real)
        log_lik = jnp.sum(cells.log_lik * data.weight)
        seen = Seen(
            _add_rows(total.sums, data, row, gradient),
            jax.tree.map(jnp.add, total.centre, centre),
            total.log_lik + log_lik,
            total.log_det + jnp.sum(data.real * row.log_det),
            total.rows + jnp.sum(data.real),
        )
        return seen, Kept(row, sizes)

    zero = jnp.zeros(())
    nothing = Seen(
        products.Sums.none(n, layout.zones, layout.periods, p),
        dispersion.Centre(zero, zero, zero),
        zero,
        zero,
        zero,
    )
    return jax.lax.scan(of_block, nothing, (tiles, state.theta, state.var, state.log_size, state.size_var))


def linear_predictor(
    data: Tiles, common: Common, state: State, theta: jax.Array, layout: Layout
) -> jax.Array:
    """Log expected units of a block, shape (W, L), of its rows' theta, (2, L)."""
    eta = _others_in_eta(data, common, state.shared, state.slope, _of_periods(common, state), layout)
    return eta + rows.spread(data.price, theta) + state.shared[1]


def _of_periods(common: Common, state: State) -> jax.Array:
    """Season and period effects of products, shape (n, W)."""
    return state.periods + products.matmul(state.season, common.season)


def _others_in_eta(
    data: Tiles, common: Common, shared: jax.Array, slope: jax.Array, periods: jax.Array, layout: Layout
) -> jax.Array:
    """Add up what eta holds besides rows' own and delta_c, shape (W, L)."""
    of_zone = products.of_zones(shared, common.covariates, layout)
    of_zone = jnp.append(of_zone, 0.0)[data.zone] + lanes(data, slope)
    eta = of_zone * data.price + lanes(data, periods + shared[layout.period])
    for k in range(layout.controls):
        eta = eta + shared[layout.alpha][k] * data.controls[k]
    return eta


def _add_rows(total: products.Sums, data: Tiles, row: rows.Row, gradient: jax.Array) -> products.Sums:
    price, h = data.price, row.curvature
    regressors = [price, jnp.ones_like(price), *data.controls]
    left = [h * rows.of_price(row, price), h * rows.of_constant(row, price)]
    left += [h * rows.of_values(row, price, z) for z in data.controls]
    roots = by_tile(data, rows.roots(row, price))  # (2, W, tiles, G)
    roots = jnp.moveaxis(roots, 2, 0).transpose(0, 2, 1, 3)  # (tiles, W, 2, G)
    roots = roots.reshape(*roots.shape[:2], -1)
    own = jnp.sum(by_tile(data, h), axis=-1).T  # (tiles, W)
    between = jnp.eye(len(h)) * own[:, None] - products.matmul(roots, jnp.swapaxes(roots, 1, 2))
    product = product_of_lane(data)
    slope = jnp.stack([rows.over_periods(left[0] * rho) for rho in regressors], axis=-1)
    others = jnp.stack([jnp.sum(by_tile(data, part), axis=-1).T for part in left[1:]], axis=1)
    others_between = jnp.stack(
        [jnp.stack([jnp.vdot(part, rho) for rho in regressors[1:]]) for part in left[1:]]
    )
    return products.Sums(
        total.between.at[data.product].add(between),
        total.by_zone.at[product, data.zone].set(left[0].T),
        total.slope.at[product, data.zone].set(slope),
        total.slope_gradient.at[product, data.zone].set(rows.over_periods(price * gradient)),
        total.others.at[data.product].add(others),
        total.gradient.at[data.product].add(jnp.sum(by_tile(data, gradient), axis=-1).T),
        total.others_between + others_between,
        total.others_gradient + jnp.stack([jnp.vdot(gradient, rho) for rho in regressors[1:]]),
    )


def _step(
    common: Common,
    hyper: Hyper,
    seen: Seen,
    state: State,
    prior: products.Prior,
    factor: products.Factor,
    shared: arrow.Shared,
    covariance: products.Covariance,
    learning: jax.Array,
    family: Family,
    layout: Layout,
) -> tuple[Step, jax.Array]:
    """Step of all that rows share, shortened if long, and its longest, in posterior sds."""
    var = jnp.diagonal(shared.cov)
    free = (var > 0.0).at[layout.period].set(hyper.is_period[layout.period] > 0.0)
    free = free.at[layout.zone].set(common.is_zone > 0.0)
    move = jnp.max(
        jnp.where(free, jnp.abs(shared.step), 0.0) / jnp.maximum(jnp.sqrt(jnp.abs(var)), _LEAST_SD)
    )
    whole = shared.step * _shortening(jnp.max(jnp.abs(shared.step[layout.period])))
    zeta = products.step(factor, whole)
    slope, in_eta = products.natural(prior, zeta)
    sd = prior.sd[:, 0] * jnp.sqrt(covariance.own[:, 0, 0])
    move = jnp.maximum(move, jnp.max(common.is_product * jnp.abs(slope) / jnp.maximum(sd, _LEAST_SD)))
    share = _shortening(jnp.abs(slope) + jnp.max(jnp.abs(in_eta), axis=1))[:, None]
    q = len(common.season)
    own = prior.sd * zeta * share
    periods = products.matmul(own[:, 1 + q :], prior.basis[:, q:].T)
    centre_step, centre_var = dispersion.solve_centre(
        seen.centre, state.dispersion_centre, hyper.dispersion_mean, hyper.dispersion_sd
    )
    centre_step = learning * family.negative_binomial * centre_step
    return Step(whole, own[:, 0], own[:, 1 : 1 + q], periods, centre_step, centre_var), move


def _shortening(longest: jax.Array) -> jax.Array:
    return jnp.minimum(1.0, _LARGEST_MOVE / jnp.maximum(longest, 1e-30))


def _move(
    tiles: Tiles,
    common: Common,
    state: State,
    kept: Kept,
    step: Step,
    covariance: products.Covariance,
    cov: jax.Array,
    damping: OfRows,
    gaussian: jax.Array,
    learning: jax.Array,
    layout: Layout,
) -> tuple[Moved, jax.Array, products.Together, Any]:
    """Move rows by the step that goes with what they share."""
    sd = sds(state)
    theta_sd = jnp.stack([sd[ROW_SPREAD], sd[LEVEL_SPREAD]])
    mu, r_precision = state.dispersion_centre, jnp.exp(-2.0 * state.log_scale[DISPERSION_SPREAD])
    periods = step.periods + products.matmul(step.season, common.season)

    def of_block(total: Any, block: Any) -> Any:
        data, theta, var, log_size, size_var, (row, size_derivatives), (share, size_share) = block
        others = _others_in_eta(data, common, step.shared, step.slope, periods, layout) + step.shared[1]
        theta_step = (row.step - rows.taken_up(row, data.price, others)) * data.real
        conditional = jnp.sqrt(jnp.stack([row.cov[0, 0], row.cov[1, 1]]))
        move = jnp.max(jnp.abs(theta_step) / jnp.maximum(conditional, _LEAST_SD))
        longest = jnp.abs(theta_step[1]) + jnp.abs(theta_step[0]) * jnp.max(jnp.abs(data.price), axis=0)
        new_theta = theta + theta_step * _shortening(longest)
        spread = row_covariance(data, row, covariance, cov, layout)
        r = dispersion.step(
            log_size, mu, r_precision, size_derivatives, step.centre, step.centre_var, learning * data.real
        )
        new_size = log_size + size_share * (r.log_size - log_size)
        deviation_var = jnp.concatenate([spread.theta, r.deviation_var[None]])
        unit = jnp.append(theta_sd, jnp.exp(state.log_scale[DISPERSION_SPREAD]))[:, None]
        after = jnp.concatenate([new_theta, (new_size - mu - step.centre)[None]])
        before = jnp.concatenate([theta, (log_size - mu)[None]])
        moved = Moved(
            ((after / unit) ** 2 + deviation_var / unit**2) @ data.real,
            ((before / unit) ** 2 + deviation_var / unit**2) @ data.real,
            (1.0 - deviation_var / unit**2) ** 2 @ data.real,
        )
        total = (
            jax.tree.map(jnp.add, total[0], moved),
            jnp.maximum(total[1], jnp.stack([move, r.move])),
            _add_together(total[2], data, row, spread),
        )
        var = jnp.where(gaussian, var + share * (spread.eta - var), spread.eta)
        size_var = jnp.where(gaussian, size_var + size_share * (r.var - size_var), r.var)
        return total, (new_theta, var, new_size, size_var, spread.slope, spread.slope_category)

    zeros = jnp.zeros(3)
    nothing = products.Together.none(
        len(common.is_product), layout.zones, layout.periods, 2 + layout.controls
    )
    (moved, longest, parts), of_rows = jax.lax.scan(
        of_block,
        (Moved(zeros, zeros, zeros), jnp.zeros(2), nothing),
        (
            tiles,
            state.theta,
            state.var,
            state.log_size,
            state.size_var,
            kept,
            (damping.variance, damping.size),
        ),
    )
    return moved, longest, parts, of_rows


def _add_together(
    total: products.Together, data: Tiles, row: rows.Row, spread: RowCovariance
) -> products.Together:
    """Add a block's rows, by their shares, to what products are over all their zones."""
    product = product_of_lane(data)
    periods = data.share * row.curvature * (row.cov[0, 0] * data.price + row.cov[0, 1])
    return products.Together(
        total.periods.at[data.product].add(jnp.sum(by_tile(data, periods), axis=-1).T),
        total.zone.at[product, data.zone].set(data.share * row.left[0, 0]),
        total.others.at[product].add((data.share * spread.way).T),
        total.var.at[product].add(data.share**2 * row.cov[0, 0]),
    )
