"""Where the iteration starts: levels and period effects that balance, or an earlier posterior where names match."""

from collections.abc import Sequence

import numpy as np

from elasticity_assets.inference.natural_gradient import arrow, slow_demand
from elasticity_assets.inference.natural_gradient.first_state import balance, price_factor, product_factor
from elasticity_assets.inference.natural_gradient.zones.products import Layout
from elasticity_assets.inference.natural_gradient.zones.state import SMALLEST_SD, Hyper, State, layout_of
from elasticity_assets.inference.natural_gradient.zones.tiles import Tiling
from elasticity_assets.inference.priors import Priors
from elasticity_assets.inference.zoned_posterior import ZonedPosterior

_FIRST_SCALES = (0.5, 0.3, 0.3, np.nan, 0.3, 0.3, 0.5)  # the level's is that of the rows' sales


def first_state(
    tiling: Tiling, priors: Priors, hyper: Hyper, posterior: ZonedPosterior | None = None
) -> State:
    """Where to start; arrays of NumPy.

    Parameters
    ----------
    tiling : Tiling
    priors : Priors
    hyper : Hyper
    posterior : ZonedPosterior, optional
        An earlier one: products, zones, periods, controls and covariates are matched by name.
    """
    layout, tiles = layout_of(tiling.tiles, tiling.common), tiling.tiles
    level, period_effect = _balanced(tiling, priors, hyper, layout)
    shared = np.array(hyper.shared_mean)
    shared[layout.period] = period_effect
    if priors.level_sd > 0:
        shared[1] = level.mean()
    scale = np.array(_FIRST_SCALES)
    scale[3] = max(level.std(), 0.3)
    scale = np.minimum(scale, 2.0 * hyper.scale.size)
    n, W = len(tiling.common.is_product), layout.periods
    slow, shock = (slow_demand.Common.at(prior) for prior in (hyper.slow, hyper.shock))
    log_sd = np.repeat(np.array([[slow.centre], [shock.centre]], np.float32), n, axis=1)
    state = State(
        theta=tiling.in_blocks(np.stack([np.zeros_like(level), level - shared[1]])),
        var=np.zeros_like(tiles.units),
        log_size=np.full_like(tiles.real, priors.log_dispersion_mean),
        size_var=np.zeros_like(tiles.real),
        slope=np.zeros(n, np.float32),
        season=np.zeros((n, len(tiling.common.season)), np.float32),
        periods=np.zeros((n, W), np.float32),
        log_sd=log_sd,
        share=np.zeros_like(log_sd),
        shared=shared.astype(np.float32),
        log_scale=_log_scale(hyper, scale),
        dispersion_centre=np.float32(priors.log_dispersion_mean),
        slow_common=slow,
        shock_common=shock,
    )
    return state if posterior is None else _resumed(state, tiling, hyper, layout, posterior)


def _balanced(tiling: Tiling, priors: Priors, hyper: Hyper, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Levels of rows, shape (R,), and period effects, (W,), that go with sales at the prior's slope."""
    tiles = tiling.tiles
    blocks, L = tiles.real.shape
    rows = arrow.Rows(
        tiles.units,
        tiles.weight,
        tiles.price[:, None],
        tiles.controls,
        np.zeros((blocks, 1, L), np.float32),
        np.zeros((blocks, layout.controls, L), np.float32),
        tiles.real,
        np.zeros((blocks, 0, layout.periods, 1), np.float32),
        np.zeros((blocks, 2, L), np.float32),
    )
    by_price = price_factor(rows, priors.category_mean)
    before, period_effect, shift = balance(lambda: [(rows, by_price)], hyper.is_period[layout.period] > 0)
    return tiling.by_row(np.log(product_factor(rows, by_price, before))) + shift, period_effect


def _resumed(state: State, tiling: Tiling, hyper: Hyper, layout: Layout, posterior: ZonedPosterior) -> State:
    """Put an earlier posterior over a first state."""
    panel, products = tiling.panel, posterior.products
    mode = int(np.argmax(products.weight))
    shared = np.array(state.shared)
    shared[0] = products.category_mean[mode]
    for names, known, values, part in (
        (panel.rows.control, products.control, products.control_mean[mode], layout.alpha),
        (panel.covariate, posterior.covariate, posterior.covariate_mean[mode], layout.eta),
    ):
        for k, name in enumerate(names):
            if name in known:
                shared[part][k] = values[known.index(name)]
    _, now, then = np.intersect1d(panel.rows.period, products.period, return_indices=True)
    gamma = np.zeros(panel.rows.n_periods)
    gamma[now] = products.period_effect[then]
    shift = gamma.mean()
    shared[1] = products.level_mean + shift
    shared[layout.period] = 0.0
    shared[layout.period][: len(gamma)] = gamma - shift
    _, zone, zone_then = np.intersect1d(panel.zone, posterior.zone, return_indices=True)
    of_covariates = tiling.common.covariates @ shared[layout.eta]
    shared[layout.zone][zone] = posterior.zone_mean[mode, zone_then] - of_covariates[zone]

    slope, periods, season = np.array(state.slope), np.array(state.periods), np.array(state.season)
    log_sd = np.array(state.log_sd)
    slow, shock = state.slow_common, state.shock_common
    _, product, product_then = np.intersect1d(panel.product, products.product, return_indices=True)
    slope[product] = posterior.usual_mean[mode, product_then] - shared[0]
    if season.size and products.season.size:
        season[product] = products.season[product_then]
    if posterior.periods.size:
        periods[np.ix_(product, now)] = posterior.periods[np.ix_(product_then, then)]
    if hyper.slow.there and products.slow_demand.size:
        log_sd[0, product] = np.log(products.slow_demand_sd[product_then])
        persistence = products.slow_demand_persistence
        slow = _common(slow, products.slow_demand_centre, products.slow_demand_spread)._replace(
            logit_persistence=np.float32(np.log(persistence / (1.0 - persistence)))
        )
    if hyper.shock.there and (posterior.shock_sd > 0).all():
        logs = np.log(posterior.shock_sd)
        log_sd[1, product] = logs[product_then]
        shock = _common(shock, float(logs.mean()), float(logs.std()))

    theta, log_size = tiling.by_row(state.theta), tiling.by_row(state.log_size)
    own = posterior.row_mean[mode] - posterior.usual_mean[mode, posterior.product_of_row]
    own = own - posterior.zone_mean[mode, posterior.zone_of_row]
    _, row, row_then = np.intersect1d(panel.rows.product, posterior.row, return_indices=True)
    theta[1] += state.shared[1] - shared[1]
    theta[0, row], theta[1, row] = own[row_then], posterior.row_level[row_then] + shift - shared[1]
    centre = state.dispersion_centre
    if np.isfinite(posterior.row_dispersion).all():
        log_size[row] = np.log(posterior.row_dispersion[row_then])
        centre = np.float32(products.log_dispersion_mean)
    scale = (
        products.tau[mode],
        posterior.row_spread,
        posterior.zone_spread,
        products.level_spread,
        products.season_spread or _FIRST_SCALES[4],
        products.period_spread,
        products.log_dispersion_spread,
    )
    return state._replace(
        theta=tiling.in_blocks(theta),
        log_size=tiling.in_blocks(log_size),
        slope=slope.astype(np.float32),
        season=season,
        periods=periods.astype(np.float32),
        log_sd=log_sd,
        shared=shared.astype(np.float32),
        log_scale=_log_scale(hyper, scale),
        dispersion_centre=centre,
        slow_common=slow,
        shock_common=shock,
    )


def _common(common: slow_demand.Common, centre: float, spread: float) -> slow_demand.Common:
    return common._replace(centre=np.float32(centre), log_spread=np.float32(np.log(max(spread, 1e-2))))


def _log_scale(hyper: Hyper, scale: Sequence[float] | np.ndarray) -> np.ndarray:
    """Take logs of these scales, and of the known ones, shape (7,)."""
    chosen = np.where(hyper.scale.learned > 0, np.maximum(scale, 1e-3), hyper.scale.size)
    return np.log(np.maximum(chosen, SMALLEST_SD)).astype(np.float32)
