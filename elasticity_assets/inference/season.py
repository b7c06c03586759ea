"""The year's sine and cosine at each period: what a product's season is made of.

The season of a product's price is a control. Products' seasons are drawn to 0 by a few percent, and prices that have
the same season would be credited with what is missing: most of all those of the periods before, whose sum is smoother.
This control is credited with it instead (Mundlak 1978).
"""

import numpy as np

from elasticity_assets.inference.panel import Panel, with_control

DAYS_A_YEAR = 365.25
PRICE_SEASON = "price_season"
"""Name of the control."""
_UNSEEN_PERIODS = 4
"""Periods without a season by which each product's is drawn to 0: it is nothing where it was hardly seen."""


def is_price_season(control: str) -> bool:
    """Whether a control is the season of products' prices."""
    return control.casefold() == PRICE_SEASON


def length(period: np.ndarray) -> int:
    """Days from the first period's begin to the last one's end.

    Parameters
    ----------
    period : array of datetime64[D], shape (T,)
        First days, ascending.
    """
    return int((period[-1] - period[0]).astype(int)) + _days(period) if len(period) else 0


def sine_and_cosine(period: np.ndarray) -> np.ndarray:
    """Sine and cosine of the fraction of the year that has gone by in the middle of each period, shape (2, T)."""
    middle = period.astype("datetime64[D]").astype(np.int64) + 0.5 * _days(period)
    angle = 2.0 * np.pi * middle / DAYS_A_YEAR
    return np.stack([np.sin(angle), np.cos(angle)])


def price_season(panel: Panel) -> np.ndarray:
    """Season of every product's log price: its projection on the year's waves, float64, shape (n, T).

    In units of what it is over all products (root mean square of the waves' coefficients).
    """
    n, T = panel.n_products, panel.n_periods
    wave = sine_and_cosine(panel.period)
    seen = panel.weight[:n, :T] > 0
    price = np.where(seen, panel.centred_log_price()[:n, :T].astype(np.float64), 0.0)
    of_product = seen @ wave.T / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    around = np.where(seen[:, None], wave - of_product[..., None], 0.0)
    square = around @ around.transpose(0, 2, 1) + 0.5 * _UNSEEN_PERIODS * np.eye(2)
    coefficient = np.linalg.solve(square, around @ price[..., None])[..., 0]
    size = np.sqrt(np.mean(coefficient**2)) if n else 0.0
    return coefficient @ wave / size if size > 0 else np.zeros((n, T))


def with_price_season(panel: Panel, least_days: int) -> Panel:
    """Add the season of prices to a panel's controls, if its periods span so many days and prices ever move.

    Parameters
    ----------
    panel : Panel
    least_days : int
        As of the prior of products' seasons.
    """
    if length(panel.period) < least_days:
        return panel
    found = price_season(panel)
    return with_control(panel, PRICE_SEASON, found) if np.ptp(found) > 0 else panel


def _days(period: np.ndarray) -> int:
    """Days that a period lasts."""
    return int(np.median(np.diff(period).astype(int))) if len(period) > 1 else 1
