"""A category's price index as a control: what its products' units do when all its prices move.

The category's period effects stand for all that moves it in a period, so that an elasticity says what happens when
one product's price moves against the others'. Their mean is the index times an effect kappa (Mundlak 1978): without it,
what drifts together with the category's prices would leak into the elasticities where products are few. Where prices of
the periods before are controls too, so is what the index is above its own mean in them: else that drift would leak into
their effects, as it is better seen over some periods than in one. Elasticity plus both effects is the elasticity to the
whole category's prices moving together; that of the index alone is for moves that last.
"""

import numpy as np

from elasticity_assets.inference.panel import Panel, with_control, with_controls
from elasticity_assets.inference.price_lags import lagged

CATEGORY_PRICE_INDEX = "category_price_index"
"""Name of the control."""
CATEGORY_PRICE_CHANGE = "category_price_change"
"""Name of the control that is the index less its mean over the lags' periods: 0 again once a move has lasted."""


def category_price_index(panel: Panel, product_of_row: np.ndarray | None = None) -> np.ndarray:
    """Mean centred log price of all the category's products in each period, shape (T,).

    Over the cells that count. Centred by product, so that products which come and go do not move it. 0 where fewer
    than two are seen: of one product alone, elasticity and effect would say the same.

    Parameters
    ----------
    panel : Panel
    product_of_row : int array, shape (n,), optional
        Which product each row is, where rows are products in zones: one product in several is one alone.
    """
    n, T = panel.n_products, panel.n_periods
    seen = panel.weight[:n, :T] > 0
    log_price = panel.centred_log_price()[:n, :T].astype(np.float64)
    product = np.arange(n) if product_of_row is None else product_of_row
    first, last = (
        least(np.where(seen, product[:, None], none), axis=0, initial=none)
        for least, none in ((np.min, n), (np.max, -1))
    )
    total = np.where(seen, log_price, 0.0).sum(axis=0)
    return np.where(first < last, total / np.maximum(seen.sum(axis=0), 1), 0.0)


def with_category_price_index(panel: Panel, lags: int = 0, product_of_row: np.ndarray | None = None) -> Panel:
    """Add the index to a panel's controls, and its change where there are lags, unless it never moves.

    Parameters
    ----------
    panel : Panel
    lags : int
        Periods before whose prices are controls; 0 for none.
    product_of_row : int array, shape (n,), optional
        As of `category_price_index`.
    """
    index = category_price_index(panel, product_of_row)
    if not np.ptp(index) > 0:
        return panel
    if not lags:
        return with_control(panel, CATEGORY_PRICE_INDEX, index)
    before = np.mean([lagged(index[None], lag)[0] for lag in range(1, lags + 1)], axis=0)
    return with_controls(panel, {CATEGORY_PRICE_INDEX: index, CATEGORY_PRICE_CHANGE: index - before})
