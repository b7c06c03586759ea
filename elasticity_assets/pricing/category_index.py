"""What many prices of a category do when they move together.

An elasticity says what a price does while the rest of the category keeps its prices. Of the category's price index, the
mean log price of its products, units have an effect of their own (`category_move_elasticity` is both together). It is
estimated from how the whole category's units went with its prices over time, so less surely than elasticities are, and
whatever else moved with these prices is in it: no price is chosen for its sake, but of changes that together are not
expected to gain with it some are taken back.
"""

import numpy as np

from elasticity_assets.pricing.products import Products

_ROUNDING = 1e-9


def index_moves(products: Products, log_ratio: np.ndarray) -> np.ndarray:
    """Give by how much the price index of each product's category moves, in log price, shape (n,).

    Its mean is over the products that still sell.
    """
    moves = _of_category(products, np.where(products.units > 0, log_ratio, 0.0)) / _size(products)
    return moves[products.category]


def too_many(
    products: Products,
    log_ratio: np.ndarray,
    gain: np.ndarray,
    worth: np.ndarray,
    may_stay: np.ndarray,
) -> np.ndarray:
    """Find the changes to take back so that those left are expected to gain with the index's effect.

    Of a category whose changes are not, those that move its index on, the ones that gain least for it first.

    Parameters
    ----------
    products : Products
    log_ratio : float array, shape (n,)
        Of the price from now on and today's; 0 where it is kept.
    gain : float array, shape (n,)
        Expected of each change, the other prices as today.
    worth : float array, shape (n,)
        What a unit brings of what gains count.
    may_stay : bool array, shape (n,)
        The changes that can be taken back: no rule asks for them.

    Returns
    -------
    bool array, shape (n,)
    """
    found = np.zeros(len(products), bool)
    if not len(products):
        return found
    category = products.category
    size = _size(products)
    effect = np.zeros(len(size))
    effect[category] = products.index_effect
    before = _of_category(products, worth * products.units)

    def together(of: np.ndarray, gains: np.ndarray, index: np.ndarray) -> np.ndarray:
        return (before[of] + gains) * np.exp(effect[of] * index) - before[of]

    gains, index = _of_category(products, gain), _of_category(products, log_ratio) / size
    loses = together(np.arange(len(size)), gains, index) < -_ROUNDING * np.abs(gains)
    moves_on = may_stay & loses[category] & (log_ratio * index[category] > 0)
    (place,) = np.nonzero(moves_on)
    if not len(place):
        return found
    place = place[np.lexsort((gain[place] / np.abs(log_ratio[place]), category[place]))]
    of = category[place]
    first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    length = np.diff(np.r_[first, len(of)])

    def so_far(values: np.ndarray) -> np.ndarray:
        total = np.cumsum(values[place])
        return total - np.repeat(total[first] - values[place][first], length)

    enough = together(of, gains[of] - so_far(gain), index[of] - so_far(log_ratio) / size[of]) >= 0
    enough_before: np.ndarray = np.cumsum(enough) - enough
    found[place] = enough_before == np.repeat(enough_before[first], length)
    return found


def _size(products: Products) -> np.ndarray:
    """How many products of each category still sell, and 1 at least."""
    return np.maximum(np.bincount(products.category, products.units > 0), 1)


def _of_category(products: Products, values: np.ndarray) -> np.ndarray:
    return np.bincount(products.category, values)
