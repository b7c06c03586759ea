"""A category's price index as a control: what a product's units do when the rest of its category gets dearer.

The category's period effects stand for all that moves it in a period, its own prices included, so that an elasticity
says what happens when one product moves alone. With the index among the controls, its effect says what the others'
prices do: elasticity plus effect is the elasticity to the whole category's prices moving together.
"""

import numpy as np

from elasticity_assets.inference.panel import Panel

CATEGORY_PRICE_INDEX = "category_price_index"
"""Name of the control."""


def category_price_index(panel: Panel) -> np.ndarray:
    """Mean centred log price of the category's other products of each period, shape (n, T).

    Centred by product, so that products which come and go do not move it. 0 where a product is alone or not observed.
    """
    n, T = panel.n_products, panel.n_periods
    seen = panel.observed[:n, :T]
    log_price = panel.centred_log_price()[:n, :T].astype(np.float64)  # 0 where not observed
    others = seen.sum(axis=0) - seen
    of_others = log_price.sum(axis=0) - log_price
    return np.where(seen & (others > 0), of_others / np.maximum(others, 1), 0.0)
