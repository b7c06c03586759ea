"""Prices drawn at random as the best of instruments: what of a price was not drawn, as controls (control function).

In the periods of a price test nobody set a price in view of demand. With the rest of the log price among the controls,
elasticities rest on what was drawn alone, and the effect of the rest is the gap between the slope of observed prices
and that of random ones: zero but for chance if prices do not follow demand. It comes with as many lags as the price, so
that what a price does later rests on random prices too. What was drawn is independent of everything else, in all
periods, so that neither the gap nor the elasticities need the rest's leads.
"""

from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.panel import Panel, numbered_controls, with_controls
from elasticity_assets.inference.price_lags import is_lag, known_log_price, lagged

PRICE_NOT_RANDOM = "price_not_random"
"""Name of the control; those of earlier periods have a number behind."""
_FEWEST_PRODUCTS = 5  # errors of a product may go together: several tell how much
_FEWEST_CELLS = 30
_STILL = 1e-3  # log price: what moves less is rounding
_LONG_GAP = 4.0  # over the usual one: there one test ends, and another begins
_RARE_CHANGES = 0.25  # share of neighbouring periods: prices drawn of two change in half of them


@dataclass(frozen=True)
class RandomizedPrices:
    """What of a category's prices was drawn at random.

    Attributes
    ----------
    products : int
        Whose prices moved within a test.
    cells : int
        Product-periods of tests within which the price moved.
    others : int
        Product-periods that were not drawn, of products whose prices moved in them.
    changing : float
        Share of neighbouring randomized periods between which the price changed; NaN where there are too few.
    rest : float array, shape (1 + L, n, T)
        Centred log price less what was drawn of it, and its L lags.
    """

    products: int
    cells: int
    others: int
    changing: float
    rest: np.ndarray

    @property
    def comparable(self) -> bool:
        """Whether other prices moved, that may say the same as random ones or not."""
        return self.others >= _FEWEST_CELLS

    @property
    def doubt(self) -> str:
        """Why not to go by them, in words; empty where nothing speaks against it."""
        if self.products < _FEWEST_PRODUCTS or self.cells < _FEWEST_CELLS:
            return (
                f"prices were drawn at random in {self.cells} product-periods of {self.products} products: too few to "
                "go by"
            )
        if self.changing < _RARE_CHANGES / len(self.rest):  # with lags, prices may stay as many periods
            return (
                f"prices marked as drawn at random change between {self.changing:.0%} of neighbouring periods: too few "
                "for a draw a period, and not gone by"
            )
        return ""


def randomized_prices(panel: Panel) -> RandomizedPrices | None:
    """Split log prices into what was drawn at random and the rest; None where the files mark no such sales.

    Drawn is, in the randomized periods of a product's test, the log price less its mean in them: how high prices are in
    a test, and when it runs, was decided by somebody. A gap far longer than the usual one parts two tests.

    Parameters
    ----------
    panel : Panel
        Whose own controls of this kind, if any, are not looked at.
    """
    if not panel.has_randomized:
        return None
    n, T = panel.n_products, panel.n_periods
    price = known_log_price(panel)
    marked, counts = panel.randomized[:n, :T], panel.weight[:n, :T] > 0
    drawn = marked & counts
    test = _tests(marked)[drawn]
    mean = np.bincount(test, price[drawn]) / np.maximum(np.bincount(test), 1)
    random = np.zeros((n, T))
    random[drawn] = price[drawn] - mean[test]
    width = np.zeros(len(mean))
    np.maximum.at(width, test, np.abs(random[drawn]))
    moves = np.zeros((n, T), np.bool_)
    moves[drawn] = (width > _STILL)[test]
    other = counts & ~marked
    other_moves = np.ptp(np.where(other, price, _first(price, other)), axis=1) > _STILL
    changes = np.abs(np.diff(price, axis=1))[drawn[:, 1:] & drawn[:, :-1]] > _STILL
    rest = price - random
    lags = sum(is_lag(name) for name in panel.control)
    return RandomizedPrices(
        products=int(moves.any(axis=1).sum()),
        cells=int(moves.sum()),
        others=int(other[other_moves].sum()),
        changing=float(changes.mean()) if len(changes) >= _FEWEST_CELLS else np.nan,
        rest=np.stack([lagged(rest, lag) for lag in range(lags + 1)]),
    )


def _tests(marked: np.ndarray) -> np.ndarray:
    """Give the number of each marked period's test, shape (n, T); what gap is usual, all products tell."""
    row, column = np.nonzero(marked)
    gap, same = np.diff(column), np.diff(row) == 0
    usual = float(np.median(gap[same])) if same.any() else 1.0
    begins = ~same | (gap > _LONG_GAP * usual)
    number = np.zeros(marked.shape, np.int64)
    number[row[1:], column[1:]] = np.cumsum(begins)
    return number


def _first(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Value of each row's first column that is among some, shape (n, 1)."""
    return np.take_along_axis(values, among.argmax(axis=1)[:, None], axis=1)


def with_price_not_random(panel: Panel) -> Panel:
    """Add what of prices was not drawn at random to a panel's controls, where enough was drawn."""
    found = randomized_prices(panel)
    if found is None or found.doubt:
        return panel
    return with_controls(panel, numbered_controls(PRICE_NOT_RANDOM, found.rest))


def is_price_not_random(control: str) -> bool:
    """Whether a control is one of those that `with_price_not_random` adds."""
    return control.casefold().startswith(PRICE_NOT_RANDOM)
