"""Where the natural-gradient iteration starts: levels and period effects that balance, or an earlier posterior."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from elasticity_assets.inference.natural_gradient import arrow, slow_demand
from elasticity_assets.inference.natural_gradient.blocks import Blocks
from elasticity_assets.inference.natural_gradient.state import Hyper, State
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import Priors

_BALANCING_TURNS = 2
_MOST_BY_PRICE = 3.0  # log units between a cell and its product's mean price, at the start
_SMALLEST_SCALE = 1e-3
_SEASON_SPREAD = 0.1  # what there is shows in a few passes, and what there is not takes many to go


def balance(
    read: Callable[[], Iterable[tuple[arrow.Rows, np.ndarray]]], is_period: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Find period factors that go with the products' sales at the prior's slope.

    In turns with the products' factors, as in iterative proportional fitting.

    Parameters
    ----------
    read : callable
        Gives all rows, in one part or several, with their `price_factor`.
    is_period : bool array, shape (W,)
        The category's own.

    Returns
    -------
    before : array, shape (W,)
        The factors that go with `product_factor`.
    period_effect : array, shape (W,)
        Logs of the factors that go with what that gives, less their mean.
    shift : float
        That mean, to be added to the products' log factors, which makes them levels.
    """
    period: np.ndarray = np.ones(len(is_period), np.float32)
    for _ in range(_BALANCING_TURNS):
        before = period
        sold, expected = np.full((2, len(is_period)), 0.5)
        for rows, by_price in read():
            sold += np.sum(rows.weight * rows.units, axis=(0, 2))
            expected += np.einsum("bwn,bn->w", by_price, product_factor(rows, by_price, before))
        period = np.where(is_period, sold / expected, 1.0).astype(np.float32)
    shift = float(np.log(period[is_period]).mean())
    return before, np.where(is_period, np.log(period) - shift, 0.0), shift


def price_factor(rows: arrow.Rows, slope: float) -> np.ndarray:
    """By how much prices multiply sales at one slope for all, times the cells' weights, shape (blocks, W, n)."""
    log_price = np.sum(rows.slopes, axis=1)
    return np.exp(np.clip(slope * log_price, -_MOST_BY_PRICE, _MOST_BY_PRICE)) * rows.weight


def product_factor(rows: arrow.Rows, by_price: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Give products what, times the periods' factors, makes their sales, shape (blocks, n)."""
    sold = (rows.weight * rows.units).sum(1) + 0.5
    return sold / (np.einsum("bwn,w->bn", by_price, period) + 0.5)


def cold(
    hyper: Hyper, priors: Priors, period_effect: np.ndarray, level_mean: float, level_sd: float
) -> tuple[np.ndarray, np.ndarray]:
    """Make up what products share at the start where nothing is known.

    Parameters
    ----------
    hyper : Hyper
    priors : Priors
    period_effect : array, shape (W,)
        As `balance` found them.
    level_mean, level_sd : float
        Of the products' levels, the mean without what their mean prices make of the prior's slope.

    Returns
    -------
    shared : array, shape (S,)
    log_scale : array, shape (d + 2,)
    """
    seasons = int(hyper.is_season.sum())
    slopes = len(hyper.scale.size) - 3 - seasons
    shared = np.array(hyper.shared_mean)
    shared[-len(period_effect) :] = period_effect
    if priors.level_sd > 0:
        shared[hyper.is_level > 0] = level_mean
    own = [0.5] * slopes + [_SEASON_SPREAD] * seasons
    spread = np.minimum([*own, max(level_sd, 0.3), 0.3, 0.5], 2.0 * hyper.scale.size)
    return shared.astype(np.float32), _log_scale(hyper, spread)


def first_state(
    blocks: Blocks,
    priors: Priors,
    hyper: Hyper,
    posterior: CategoryPosterior | None,
    *,
    negative_binomial: bool,
) -> State:
    """Where to start: levels and period effects that balance, or an earlier posterior where names match.

    All slopes start at the elasticity.

    Parameters
    ----------
    blocks : Blocks
    priors : Priors
    hyper : Hyper
    posterior : CategoryPosterior or None
    negative_binomial : bool
    """
    rows, panel = blocks.rows, blocks.panel
    D = rows.slopes.shape[1]
    lead = D + 1 + rows.controls.shape[1]
    by_price = price_factor(rows, priors.category_mean)
    before, period_effect, shift = balance(lambda: [(rows, by_price)], hyper.is_period[lead:] > 0)
    level = blocks.by_product(np.log(product_factor(rows, by_price, before))) + shift
    slope_mean = blocks.by_product(rows.slope_mean).sum(axis=0)
    beta = np.full(panel.n_products, priors.category_mean)
    season = np.zeros((rows.season.shape[1], panel.n_products))
    shared, log_scale = cold(hyper, priors, period_effect, (level - slope_mean * beta).mean(), level.std())
    slow, slow_common = _slow_demand(blocks, priors, hyper, posterior)
    log_size, size_sd = np.full((2, panel.n_products), [[priors.log_dispersion_mean], [0.0]])
    centre = priors.log_dispersion_mean
    if posterior is not None:
        mode = int(np.argmax(posterior.weight))
        shared[:D], shared[D] = posterior.category_mean[mode], posterior.level_mean
        for k, name in enumerate(panel.control):
            if name in posterior.control:
                shared[D + 1 + k] = posterior.control_mean[mode, posterior.control.index(name)]
        _, now, then = np.intersect1d(panel.period, posterior.period, return_indices=True)
        gamma = np.zeros(panel.n_periods)
        gamma[now] = posterior.period_effect[then]
        shift = gamma.mean()
        shared[D] += shift
        shared[lead : lead + panel.n_periods] = gamma - shift
        _, now, then = np.intersect1d(panel.product, posterior.product, return_indices=True)
        beta[:] = shared[0]
        beta[now] = posterior.product_mean[mode, then]
        season_spread = _SEASON_SPREAD
        if len(season) and posterior.season.size:
            season[:, now], season_spread = posterior.season[then].T, posterior.season_spread
        # From the model's level to the one at the product's own mean price and controls.
        means = slope_mean * beta
        means = means + shared[D + 1 : lead] @ blocks.by_product(rows.control_mean)
        level[now] = (posterior.level[then] + shift) + means[now]
        spread = [
            *[posterior.tau[mode]] * D,
            *[season_spread] * len(season),
            posterior.level_spread,
            posterior.period_spread,
            posterior.log_dispersion_spread,
        ]
        log_scale = _log_scale(hyper, spread)
        if np.isfinite(posterior.dispersion).all():
            log_size[now] = np.log(posterior.dispersion[then])
            size_sd[now] = posterior.log_dispersion_sd[then]
            centre = posterior.log_dispersion_mean
    theta, log_r = blocks.in_blocks(np.stack([*[beta] * D, *season, level])), blocks.in_blocks(log_size)
    var = np.zeros_like(rows.units)
    if posterior is not None:
        var = _rough_var(rows, theta, log_r, shared, log_scale, slow, negative_binomial=negative_binomial)
    size_var = blocks.in_blocks(size_sd**2)
    return State(theta, var, log_r, size_var, shared, log_scale, np.float32(centre), slow, slow_common)


def no_slow_demand(rows: arrow.Rows, hyper: Hyper) -> slow_demand.OfRows:
    """Begin without any; of no periods where the model has none."""
    blocks, W, n = rows.units.shape
    mean = np.zeros((blocks, W if hyper.slow.there else 0, n), np.float32)
    return slow_demand.OfRows(
        mean,
        np.full((blocks, n), slow_demand.Common.at(hyper.slow).centre),
        np.zeros((blocks, n), np.float32),
    )


def _slow_demand(
    blocks: Blocks, priors: Priors, hyper: Hyper, posterior: CategoryPosterior | None
) -> tuple[slow_demand.OfRows, slow_demand.Common]:
    """Slow demand at the start, the earlier posterior's where names match."""
    slow, common = no_slow_demand(blocks.rows, hyper), slow_demand.Common.at(hyper.slow)
    if priors.slow_demand is None or posterior is None or not posterior.slow_demand.size:
        return slow, common
    panel = blocks.panel
    mean, log_sd = np.zeros((len(panel.period), panel.n_products)), np.full(panel.n_products, common.centre)
    _, now, then = np.intersect1d(panel.product, posterior.product, return_indices=True)
    _, period_now, period_then = np.intersect1d(panel.period, posterior.period, return_indices=True)
    mean[np.ix_(period_now, now)] = posterior.slow_demand[np.ix_(then, period_then)].T
    log_sd[now] = np.log(posterior.slow_demand_sd[then])
    persistence = posterior.slow_demand_persistence
    padded = np.zeros((slow.mean.shape[1], panel.n_products))
    padded[: len(mean)] = mean
    return (
        slow._replace(mean=blocks.in_blocks(padded), log_sd=blocks.in_blocks(log_sd)),
        common._replace(
            centre=np.float32(posterior.slow_demand_centre),
            log_spread=np.float32(np.log(max(posterior.slow_demand_spread, _SMALLEST_SCALE))),
            logit_persistence=np.float32(np.log(persistence / (1.0 - persistence))),
        ),
    )


def _log_scale(hyper: Hyper, spread: Sequence[float] | np.ndarray) -> np.ndarray:
    """Take logs of these scales, and of the known ones, shape (d + 2,)."""
    learned = hyper.scale.learned > 0
    return np.log(np.where(learned, np.maximum(spread, _SMALLEST_SCALE), hyper.scale.size)).astype(np.float32)


def _rough_var(
    rows: arrow.Rows,
    theta: np.ndarray,
    log_size: np.ndarray,
    shared: np.ndarray,
    log_scale: np.ndarray,
    slow: slow_demand.OfRows,
    *,
    negative_binomial: bool,
) -> np.ndarray:
    """Var eta as if slopes, seasons, levels, period effects and slow demand were independent, shape (blocks, W, n)."""
    K, W = rows.controls.shape[1], rows.units.shape[1]
    lead = len(shared) - W
    season = np.broadcast_to(rows.season, (*rows.season.shape[:3], rows.units.shape[-1]))
    own = np.concatenate([rows.slopes, season], axis=1)
    eta = theta[:, -1, None] + np.einsum("bdwn,bdn->bwn", own, theta[:, :-1])
    eta = eta + shared[lead:, None]
    if K:
        eta = eta + np.einsum("bkwn,k->bwn", rows.controls, shared[lead - K : lead])
    if slow.mean.shape[1]:
        eta = eta + slow.mean
    weight = np.exp(np.clip(eta, -20.0, 30.0))
    if negative_binomial:
        weight = weight / (1.0 + weight * np.exp(-log_size[:, None]))
    weight = weight * rows.weight
    prior = np.exp(-2.0 * log_scale)
    squares = own**2
    of_own = 1.0 / (np.einsum("bwn,bdwn->bdn", weight, squares) + prior[:-3, None])
    of_level = 1.0 / (np.sum(weight, axis=1, keepdims=True) + prior[-3])
    of_period = 1.0 / (np.sum(weight, axis=(0, 2))[:, None] + prior[-2])
    total = np.einsum("bdwn,bdn->bwn", squares, of_own) + of_level + of_period
    if slow.mean.shape[1]:
        total = total + 0.5 / (weight + np.exp(-2.0 * slow.log_sd)[:, None])
    return total.astype(np.float32)
