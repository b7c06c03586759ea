"""Prices of the periods before as controls: what a price change takes back, or keeps giving, later on.

What a promotion sells is in part borrowed from the periods after it: buyers have stocked up. The slope of a product's
own price is what a change does in its period; with the effects of the lags it is what a change does that lasts.
"""

import numpy as np

from elasticity_assets.inference.panel import Panel, with_controls

_LAG = "price_lag_"
_PERIODS_A_LAG = 10
"""Periods that a panel has to have for each lag: shorter ones lose too many of theirs to prices not known yet."""


def lag_name(lag: int) -> str:
    """Name of the control that is the log price so many periods before."""
    return f"{_LAG}{lag}"


def is_lag(control: str) -> bool:
    """Whether a control is one of the lags."""
    return control.casefold().startswith(_LAG)


def bearable_lags(lags: int, n_periods: int) -> int:
    """How many of the lags asked for so many periods bear: a tenth of them at most."""
    return min(lags, n_periods // _PERIODS_A_LAG)


def known_log_price(panel: Panel) -> np.ndarray:
    """Centred log price of every product and period, float64, shape (n, T): the last known one where none was observed.

    Before a product's first price that one stands; 0 where it never had any.
    """
    n, T = panel.n_products, panel.n_periods
    return last_known(panel.centred_log_price()[:n, :T].astype(np.float64), panel.observed[:n, :T])


def last_known(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Carry each product's last known value on, and its first one back; shape (n, T).

    Parameters
    ----------
    values : float array, shape (n, T)
    known : bool array, shape (n, T)
    """
    last = np.maximum.accumulate(np.where(known, np.arange(known.shape[1]), -1), axis=1)
    place = np.where(last >= 0, last, known.argmax(axis=1)[:, None])
    return np.take_along_axis(values, place, axis=1)


def lagged(values: np.ndarray, lag: int) -> np.ndarray:
    """Values of `lag` periods before, of as many later where it is below 0; the first, or last, one beyond the ends.

    Parameters
    ----------
    values : float array, shape (n, T)
    lag : int
    """
    period = np.arange(values.shape[1]) - lag
    return values[:, np.clip(period, 0, values.shape[1] - 1)]


def with_price_lags(panel: Panel, lags: int) -> Panel:
    """Add the log prices of 1 to `lags` periods before to a panel's controls, unless no price ever moves.

    Parameters
    ----------
    panel : Panel
    lags : int
        0 to as many as there are periods, less one.
    """
    log_price = known_log_price(panel)
    if not np.ptp(log_price) > 0:
        return panel
    return with_controls(panel, {lag_name(lag): lagged(log_price, lag) for lag in range(1, lags + 1)})
