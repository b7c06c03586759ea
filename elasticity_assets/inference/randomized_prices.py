"""Prices drawn at random as the best of instruments: what of a price was not drawn, as controls (control function).

In the periods of a price test nobody set a price in view of demand. With the rest of the log price among the controls,
elasticities rest on what was drawn alone, and the effect of the rest is the gap between the slope of observed prices
and that of random ones: zero but for chance if prices do not follow demand. It comes with as many lags as the price, so
that what a price does later rests on random prices too. What was drawn is independent of everything else, in all
periods, so that neither the gap nor the elasticities need the rest's leads.
"""

from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.panel import Panel, with_control
from elasticity_assets.inference.price_lags import is_lag, known_log_price, lagged

PRICE_NOT_RANDOM = "price_not_random"
"""Name of the control; those of earlier periods have a number behind."""
_FEWEST_PRODUCTS = 5  # errors of a product may go together: several tell how much
_FEWEST_CELLS = 30
_STILL = 1e-3  # log price: what moves less within a product's randomized periods is rounding


@dataclass(frozen=True)
class RandomizedPrices:
    """What of a category's prices was drawn at random.

    Attributes
    ----------
    products : int
        Whose prices moved within their randomized periods.
    cells : int
        Product-periods of those products whose price was drawn.
    rest : float array, shape (1 + L, n, T)
        Centred log price less what was drawn of it, and its L lags.
    """

    products: int
    cells: int
    rest: np.ndarray

    @property
    def doubt(self) -> str:
        """Why not to go by them, in words; empty where nothing speaks against it."""
        if self.products < _FEWEST_PRODUCTS or self.cells < _FEWEST_CELLS:
            return (
                f"prices were drawn at random in {self.cells} product-periods of {self.products} products: too few to "
                "go by"
            )
        return ""


def randomized_prices(panel: Panel) -> RandomizedPrices | None:
    """Split log prices into what was drawn at random and the rest; None where the files mark no such sales.

    Drawn is, in a product's randomized periods, the log price less its mean in them: how high prices are in a test, and
    when it runs, was decided by somebody.

    Parameters
    ----------
    panel : Panel
        Whose own controls of this kind, if any, are not looked at.
    """
    if not panel.has_randomized:
        return None
    n, T = panel.n_products, panel.n_periods
    price = known_log_price(panel)
    drawn = panel.randomized[:n, :T] & (panel.weight[:n, :T] > 0)
    count = np.maximum(drawn.sum(axis=1), 1)[:, None]
    mean = np.where(drawn, price, 0.0).sum(axis=1, keepdims=True) / count
    random = np.where(drawn, price - mean, 0.0)
    moves = np.ptp(random, axis=1) > _STILL
    rest = price - random
    lags = sum(is_lag(name) for name in panel.control)
    return RandomizedPrices(
        int(moves.sum()), int(drawn[moves].sum()), np.stack([lagged(rest, lag) for lag in range(lags + 1)])
    )


def with_price_not_random(panel: Panel) -> Panel:
    """Add what of prices was not drawn at random to a panel's controls, where enough was drawn."""
    found = randomized_prices(panel)
    if found is None or found.doubt:
        return panel
    for number, values in enumerate(found.rest):
        panel = with_control(panel, f"{PRICE_NOT_RANDOM}_{number}" if number else PRICE_NOT_RANDOM, values)
    return panel


def is_price_not_random(control: str) -> bool:
    """Whether a control is one of those that `with_price_not_random` adds."""
    return control.casefold().startswith(PRICE_NOT_RANDOM)
