"""Rules between products, kept exactly: which price of each ladder, by mixed-integer linear programming (HiGHS)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_WORST = 1e6
"""What breaking a rule by all of a price costs, in terms of the largest gain, where rules collide."""
SECONDS = 20.0
"""Time that HiGHS has for a group."""
_LIMIT_REACHED = 1  # as scipy.optimize.milp says it
_GAP = 1e-6
"""Share of the sum of values by which the choice may miss the best."""
_ROUNDING = 1e-6
"""Share of a price by which it may miss a rule: HiGHS's tolerance."""


@dataclass(frozen=True)
class PairRule:
    """least * price of other <= price of product <= most * price of other.

    Attributes
    ----------
    product, other : int
        Their places.
    least, most : float
    words : str
        As the settings have it.
    """

    product: int
    other: int
    least: float
    most: float
    words: str = ""

    def is_kept(self, price: np.ndarray) -> bool:
        """Whether prices, of all products, keep the rule."""
        own, other = price[self.product], price[self.other]
        return bool(
            own >= self.least * other * (1 - _ROUNDING) and own <= self.most * other * (1 + _ROUNDING)
        )


class TooSlowError(Exception):
    """No prices that keep the rules were found in time, nor that there are none."""


def joined_by(rules: Sequence[PairRule], n_products: int) -> list[np.ndarray]:
    """Give the groups of products that rules join, each the places of two or more, ascending."""
    if not rules:
        return []
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    ends = np.array([(rule.product, rule.other) for rule in rules], dtype=np.int64)
    places = np.unique(ends)
    place = np.searchsorted(places, ends)
    graph = coo_array((np.ones(len(ends)), (place[:, 0], place[:, 1])), shape=(len(places), len(places)))
    _, label = connected_components(graph, directed=False)
    return [places[label == number] for number in range(label.max() + 1)]


def best_together(
    price: np.ndarray,
    value: np.ndarray,
    allowed: np.ndarray,
    rules: Sequence[PairRule],
    price_of_a_change: float = 0.0,
    *,
    unsure: np.ndarray | None = None,
    bend: bool = False,
) -> np.ndarray | None:
    """Choose one price of each product's ladder so that the sum of values is largest and all rules are kept.

    Where time runs out, the best prices found so far.

    Parameters
    ----------
    price, value : float array, shape (n, k)
        Of the ladders; the last column is today's.
    allowed : bool array, shape (n, k)
    rules : sequence of PairRule
        Their places are rows of the arrays.
    price_of_a_change : float
        Taken off the value of every price but today's.
    unsure : bool array, shape (n, k), optional
        Prices of which as few as can be are taken, whatever their value.
    bend : bool
        Break rules, by as little as can be, where they cannot be kept.

    Returns
    -------
    int array, shape (n,), or None
        The columns chosen; None where no choice keeps the rules.

    Raises
    ------
    TooSlowError
        If time ran out before any prices were found that keep the rules.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415
    from scipy.sparse import coo_array  # noqa: PLC0415

    row, column = np.nonzero(allowed)
    if len(np.unique(row)) < len(price):
        return None
    n, m, p = len(price), len(rules), price[row, column]
    today = price[:, -1]
    worth = value[row, column] - price_of_a_change * (column < price.shape[1] - 1)
    variable = np.arange(len(row))
    entries = [(np.ones(len(row)), row, variable)]
    low, high = [np.ones(n)], [np.ones(n)]
    for number, rule in enumerate(rules):
        for sign, factor, at in ((1.0, rule.least, n + 2 * number), (-1.0, rule.most, n + 2 * number + 1)):
            if np.isfinite(factor):  # sign * (own - factor * other) + slack >= 0, in shares of today's price
                own, other = row == rule.product, row == rule.other
                share = sign / today[rule.product]
                entries.append((share * p[own], np.full(own.sum(), at), variable[own]))
                entries.append((-share * factor * p[other], np.full(other.sum(), at), variable[other]))
            if bend:
                entries.append((np.ones(1), np.array([at]), np.array([len(row) + 2 * number + (sign < 0)])))
    scale = np.abs(worth).max(initial=0.0) or 1.0
    cost = -worth / scale
    if unsure is not None:
        cost += (2 * n + 1) * unsure[row, column]  # more than all values together
    slack = np.full(2 * m if bend else 0, _WORST)
    data, to_row, to_column = (np.concatenate(part) for part in zip(*entries, strict=True))
    matrix = coo_array((data, (to_row, to_column)), shape=(n + 2 * m, len(row) + len(slack))).tocsr()
    low.append(np.full(2 * m, -0.1 * _ROUNDING))
    high.append(np.full(2 * m, np.inf))
    found = milp(
        np.concatenate([cost, slack]),
        integrality=np.concatenate([np.ones(len(row)), np.zeros(len(slack))]),
        bounds=Bounds(0, np.concatenate([np.ones(len(row)), np.full(len(slack), np.inf)])),
        constraints=LinearConstraint(matrix, np.concatenate(low), np.concatenate(high)),
        options={"time_limit": SECONDS, "mip_rel_gap": _GAP},
    )
    if found.x is None:
        if found.status == _LIMIT_REACHED:
            raise TooSlowError
        return None
    taken = found.x[: len(row)] > 0.5
    chosen = np.full(n, price.shape[1] - 1)
    chosen[row[taken]] = column[taken]
    return chosen
