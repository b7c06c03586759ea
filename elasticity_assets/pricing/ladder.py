"""The prices that each product may have: a ladder within the largest change, today's price among them."""

from collections.abc import Sequence

import numpy as np

RUNGS = 20
"""Prices up, and as many down, that are looked at for each product."""
_DIGITS = 2  # whole cents
_ROUNDING = 1e-9


def candidate_prices(price: np.ndarray, max_change: float, endings: Sequence[float] = ()) -> np.ndarray:
    """Give each product's ladder.

    Parameters
    ----------
    price : float array, shape (n,)
        Today's.
    max_change : float
        Largest change, as a share of today's price.
    endings : sequence of float
        What a price may end with, such as 0.99; by default it may be any whole cents.

    Returns
    -------
    float array, shape (n, 2 * RUNGS + 1)
        NaN where a rung has no price, the last column today's. Prices may repeat.
    """
    digits = max([_DIGITS, *(len(f"{ending:.9f}".rstrip("0")) - 2 for ending in endings)])
    steps = np.linspace(-max_change, max_change, 2 * RUNGS + 1)
    target = price[:, None] * (1 + np.delete(steps, RUNGS))
    low, high = (price * (1 + sign * max_change) for sign in (-1.0, 1.0))
    found = _nearest_with_ending(target, low, high, endings, digits) if endings else np.round(target, _DIGITS)
    outside = (found < low[:, None] * (1 - _ROUNDING)) | (found > high[:, None] * (1 + _ROUNDING))
    unchanged = np.abs(found - price[:, None]) < 0.5 * 10.0**-digits  # today's, but for rounding
    found[outside | unchanged | (found <= 0)] = np.nan
    return np.concatenate([found, price[:, None]], axis=1)


def _nearest_with_ending(
    target: np.ndarray, low: np.ndarray, high: np.ndarray, endings: Sequence[float], digits: int
) -> np.ndarray:
    """Give the price with one of the endings that is nearest to each target, if there is one from low to high."""
    best = np.full_like(target, np.nan)
    distance = np.full_like(target, np.inf)
    for ending in endings:
        for whole in (-1.0, 0.0, 1.0):
            price = np.round(np.floor(target) + whole + ending, digits)
            inside = (price >= low[:, None] * (1 - _ROUNDING)) & (price <= high[:, None] * (1 + _ROUNDING))
            nearer = inside & (np.abs(price - target) < distance)
            best[nearer] = price[nearer]
            distance[nearer] = np.abs(price - target)[nearer]
    return best
