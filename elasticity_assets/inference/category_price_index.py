"""A category's price index as a control: what its products' units do when all its prices move.

The category's period effects stand for all that moves it in a period, so that an elasticity says what happens when
one product's price moves against the others'. Their mean is the index times an effect kappa (Mundlak 1978): without it,
what drifts together with the category's prices would leak into the elasticities where products are few. Elasticity plus
effect is the elasticity to the whole category's prices moving together.
"""

import numpy as np

from elasticity_assets.inference.panel import Panel, with_control

CATEGORY_PRICE_INDEX = "category_price_index"
"""Name of the control."""


def category_price_index(panel: Panel) -> np.ndarray:
    """Mean centred log price of all the category's products in each period, shape (T,).

    Over the cells that count. Centred by product, so that products which come and go do not move it. 0 where fewer
    than two are seen: of one product alone, elasticity and effect would say the same.
    """
    n, T = panel.n_products, panel.n_periods
    seen = panel.weight[:n, :T] > 0
    log_price = panel.centred_log_price()[:n, :T].astype(np.float64)
    count = seen.sum(axis=0)
    total = np.where(seen, log_price, 0.0).sum(axis=0)
    return np.where(count > 1, total / np.maximum(count, 1), 0.0)


def with_category_price_index(panel: Panel) -> Panel:
    """Add the index to a panel's controls, unless it never moves."""
    index = category_price_index(panel)
    return with_control(panel, CATEGORY_PRICE_INDEX, index) if np.ptp(index) > 0 else panel
