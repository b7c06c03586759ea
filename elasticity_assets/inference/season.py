"""The year's sine and cosine at each period: what a product's season is made of."""

import numpy as np

DAYS_A_YEAR = 365.25


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


def _days(period: np.ndarray) -> int:
    """Days that a period lasts."""
    return int(np.median(np.diff(period).astype(int))) if len(period) > 1 else 1
