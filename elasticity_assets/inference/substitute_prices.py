"""Prices of a product's substitutes as a control: what it gains when others of its group get dearer.

Settings name groups of substitutes within the category, such as a size or a brand tier. The control is the mean of the
centred log prices of the group's *other* products, weighted by the units that they sell; its effect is the category's.
One other product's price so has that effect times its share of the others' units.
"""

import numpy as np

from elasticity_assets.inference.panel import Panel, with_control
from elasticity_assets.inference.price_lags import known_log_price

SUBSTITUTE_PRICES = "substitute_prices"
"""Name of the control."""

_ALL = 1e-9  # share of a group's units that are left where one product has all of them, but for rounding


def substitute_prices(panel: Panel, group: np.ndarray) -> np.ndarray:
    """Weighted mean centred log price of the other products of each product's group, shape (n, T).

    Weights are units sold over all periods. A product that was not observed has its last known price. 0 where no other
    product of the group sold anything.

    Parameters
    ----------
    panel : Panel
    group : array of str, shape (n,)
        Empty for products that are in none.
    """
    n, T = panel.n_products, panel.n_periods
    log_price = known_log_price(panel)
    sold = panel.units[:n, :T].sum(axis=1, dtype=np.float64)
    names, number = np.unique(group, return_inverse=True)
    of_group, weighted = np.zeros(len(names)), np.zeros((len(names), T))
    np.add.at(of_group, number, sold)
    np.add.at(weighted, number, sold[:, None] * log_price)
    others = of_group[number] - sold
    has_others = (np.asarray(group) != "") & (others > _ALL * of_group[number])
    mean = (weighted[number] - sold[:, None] * log_price) / np.where(has_others, others, 1.0)[:, None]
    return np.where(has_others[:, None], mean, 0.0)


def with_substitute_prices(panel: Panel, group: np.ndarray) -> Panel:
    """Add the prices of each product's substitutes to a panel's controls, unless they never move.

    Parameters
    ----------
    panel : Panel
    group : array of str, shape (n,)
        As of `substitute_prices`.
    """
    prices = substitute_prices(panel, group)
    return with_control(panel, SUBSTITUTE_PRICES, prices) if np.ptp(prices) > 0 else panel
