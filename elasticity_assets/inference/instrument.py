"""Costs as an instrument: what of a price its cost does not explain, as controls (control function).

A cost moves the price and not the buyers. What is left of the log price once the log cost is taken out may have been
set in view of demand; with it among the controls, elasticities rest on what costs did to prices, and its effect is zero
if prices do not follow demand (Hausman 1978; Petrin and Train 2010). It comes with as many lags as the price, and as
many leads: with slow demand neighbouring periods are fitted together, and all have to be free of what is left.
"""

from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.panel import Panel, numbered_controls, with_controls
from elasticity_assets.inference.price_lags import is_lag, known_log_price, lagged, last_known
from elasticity_assets.inference.randomized_prices import is_price_not_random
from elasticity_assets.inference.season import is_price_season

PRICE_RESIDUAL = "price_residual"
"""Name of the control; those of other periods have a number behind."""
STRONG = 104.7
"""First-stage F from which intervals and tests hold what they promise (Lee, McCrary, Moreira and Porter 2022)."""
_FEWEST_PRODUCTS = 5  # with costs: an F that is robust to errors of a product needs several
_LEAST_SHARE = 0.8  # of the cells that count
_MOST_EXPLAINED = 0.98  # of the price: where costs were reckoned from prices, what is left is rounding
_SAME = 1e-9
_ROUNDS = 30  # at most, of taking out products' and periods' means in turns


@dataclass(frozen=True)
class FirstStage:
    """What costs do to prices.

    Attributes
    ----------
    strength : float
        First-stage F: squared t of the log cost, the smaller of the plain one and the one robust to errors of a product
        that go together; 0 where costs never move.
    products : int
        That have costs.
    share : float
        Of the cells that count, those of products with costs.
    explained : float
        Share of the price's variance within products, periods and controls that the log cost explains.
    residual : float array, shape (1 + 2 L, n, T)
        Log price less what the log cost explains, its L lags, and its L leads; 0 for products without costs.
    """

    strength: float
    products: int
    share: float
    explained: float
    residual: np.ndarray

    @property
    def doubt(self) -> str:
        """Why not to go by it, in words; empty where nothing speaks against it."""
        if self.explained > _MOST_EXPLAINED:
            return "costs move one for one with prices, as if reckoned from them: no instrument"
        if self.products < _FEWEST_PRODUCTS:
            return f"costs of {self.products} products are too few for an instrument"
        if self.share < _LEAST_SHARE:
            return f"costs are known for {self.share:.0%} of the sales: not gone by"
        if self.strength < STRONG:
            return f"costs are a weak instrument (first-stage F {self.strength:.0f}), not gone by"
        return ""


def first_stage(panel: Panel) -> FirstStage | None:
    """Regress log prices on log costs, products, periods and controls; None where the files give no costs.

    Parameters
    ----------
    panel : Panel
        Whose own controls of this kind, and of randomized prices, if any, are left out.
    """
    if not panel.has_cost:
        return None
    n, T = panel.n_products, panel.n_periods
    known = np.isfinite(panel.log_cost[:n, :T])
    cost = last_known(np.where(known, panel.log_cost[:n, :T], 0.0).astype(np.float64), known)
    has_cost = known.any(axis=1)
    counts = (panel.weight[:n, :T] > 0) & has_cost[:, None]
    price = known_log_price(panel)
    # Beside what is the price's own, its lags or its season, the slope would be another: they hold costs too.
    left_out = (is_price_residual, is_price_not_random, is_lag, is_price_season)
    kept = [k for k, name in enumerate(panel.control) if not any(is_one(name) for is_one in left_out)]
    stacked = np.concatenate(
        [price[None], cost[None], np.moveaxis(panel.controls[:n, :T, kept], 2, 0)]
    ).astype(np.float64)
    within = _within(stacked, counts)
    x, z, controls = within[0][counts], within[1][counts], within[2:][:, counts].T
    around = sum(is_lag(name) for name in panel.control)
    slope, strength, explained = _slope(x, z, controls, np.nonzero(counts)[0])
    residual = np.where(has_cost[:, None], price - slope * (cost - cost.mean(axis=1, keepdims=True)), 0.0)
    periods = [0, *(lag * way for way in (1, -1) for lag in range(1, around + 1))]
    return FirstStage(
        strength,
        int(counts.any(axis=1).sum()),
        float(counts.sum() / max((panel.weight[:n, :T] > 0).sum(), 1)),
        explained,
        np.stack([lagged(residual, lag) for lag in periods]),
    )


def with_price_residual(panel: Panel) -> Panel:
    """Add what costs leave of prices to a panel's controls, where costs make a strong instrument."""
    found = first_stage(panel)
    if found is None or found.doubt:
        return panel
    return with_controls(panel, numbered_controls(PRICE_RESIDUAL, found.residual))


def is_price_residual(control: str) -> bool:
    """Whether a control is one of those that `with_price_residual` adds."""
    return control.casefold().startswith(PRICE_RESIDUAL)


def _within(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Take products' and periods' means out, in turns, over the cells that count; shape (m, n, T)."""
    values = np.where(counts, values, 0.0)
    of_product, of_period = (np.maximum(counts.sum(axis=axis), 1) for axis in (1, 0))
    for _ in range(_ROUNDS):
        mean = values.sum(axis=2) / of_product
        values = np.where(counts, values - mean[..., None], 0.0)
        values = np.where(counts, values - (values.sum(axis=1) / of_period)[:, None], 0.0)
        if np.abs(mean).max(initial=0.0) < _SAME:  # at once where no cell is missing
            break
    return values


def _slope(
    x: np.ndarray, z: np.ndarray, controls: np.ndarray, product: np.ndarray
) -> tuple[float, float, float]:
    """Slope of x on z beside the controls, its F, and the share of x's variance that it explains."""
    if controls.shape[1]:
        both = np.stack([x, z], axis=1)
        x, z = (both - controls @ np.linalg.lstsq(controls, both)[0]).T
    moves = float(z @ z)
    if not moves > 1e-9 * len(z):
        return 0.0, 0.0, 0.0
    slope = float(x @ z) / moves
    error = x - slope * z
    plain = float(error @ error) / max(len(z) - 1 - controls.shape[1], 1) * moves
    of_product = np.bincount(product, z * error)
    groups = len(np.unique(product))
    robust = float(of_product @ of_product) * groups / max(groups - 1, 1)
    var = max(plain, robust) / moves**2
    return slope, slope**2 / max(var, 1e-12), slope**2 * moves / max(float(x @ x), 1e-30)
