"""The price of each product, chosen without regard to other products' prices."""

from dataclasses import dataclass

import numpy as np

from elasticity_assets.pricing.options import Options
from elasticity_assets.pricing.products import Products
from elasticity_assets.settings import PricingSettings

NONE = ""
NOT_ESTIMATED, POSITIVE = "not estimated", "elasticity not negative"
CONFOUNDED = "prices follow demand"
NOT_SOLD, LOCKED = "nothing sold", "locked"
MAX_CHANGE, MIN_MARGIN, COST, CONFIDENCE = "max_change", "min_margin", "cost", "confidence"
ENDINGS, GROUPS, MAX_PRODUCTS = "endings", "groups", "max_products"
CATEGORY_INDEX, TOO_SLOW = "category index", "too many joined"
COLLIDING_MARGIN = "min_margin and max_change collide"
COLLIDING_GROUPS = "groups collide"
EVERYWHERE = "price everywhere"


@dataclass(frozen=True)
class Choice:
    """The price of each product; all arrays have shape (n,).

    Attributes
    ----------
    price : float array
        Recommended; today's where it is kept.
    changed : bool array
    gain : float array
        Expected, in what the objective counts, a period.
    probability : float array
        That the change gains; NaN where the price is kept.
    rule : object array of str
        Why the price is no better one; empty where it is the best there is.
    better : float array
        The price that this rule forbids, or the best feasible one where rules collide; NaN where there is none.
    between : object array of str
        The rules between products that forbid it, as the settings have them; empty where none does. By another
        rule why a zone has the change, or the price of today, that its product has everywhere.
    """

    price: np.ndarray
    changed: np.ndarray
    gain: np.ndarray
    probability: np.ndarray
    rule: np.ndarray
    better: np.ndarray
    between: np.ndarray

    def take_back(self, which: np.ndarray, today: np.ndarray, rule: str) -> None:
        """Keep the prices of some products, whose changes a rule does not allow.

        Parameters
        ----------
        which : bool array, shape (n,)
        today : float array, shape (n,)
            Today's prices.
        rule : str
        """
        self.better[which] = self.price[which]
        self.price[which] = today[which]
        self.changed[which] = False
        self.gain[which] = 0.0
        self.probability[which] = np.nan
        self.rule[which] = rule
        self.between[which] = NONE


def best_columns(ladders: Options, stays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose the best column of each ladder.

    Parameters
    ----------
    ladders : Options
    stays : bool array, shape (n,)
        Products whose price stays, whatever another would gain.

    Returns
    -------
    chosen : int array, shape (n,)
    none_feasible : bool array, shape (n,)
        Products whose price stays because today's and all others break a rule.
    """
    today = ladders.price.shape[1] - 1
    wanted = _argmax(ladders.value, ladders.feasible & ladders.sure)
    forced = ~ladders.has_margin[:, today]  # today's price breaks a rule: the best that does not, sure or not
    if not forced.any():
        return np.where(stays, today, wanted), forced
    others = ladders.feasible & (np.arange(today + 1) < today)
    none_feasible = forced & ~others.any(axis=1)
    wanted = np.where(forced, _argmax(ladders.value, others), wanted)
    return np.where(stays | none_feasible, today, wanted), none_feasible


def each_alone(ladders: Options, products: Products, stays: np.ndarray, rules: PricingSettings) -> Choice:
    """Choose the best price of each product's ladder.

    Parameters
    ----------
    ladders : Options
    products : Products
    stays : object array of str, shape (n,)
        Rule by which a product's price stays, whatever it would gain; empty where none does.
    rules : PricingSettings

    Returns
    -------
    Choice
    """
    row, today = np.arange(len(products)), ladders.price.shape[1] - 1
    dreamt = _argmax(ladders.value, ladders.there)  # by none but the ladder's rules
    chosen, none_feasible = best_columns(ladders, stays != NONE)
    forced = ~ladders.has_margin[:, today]
    changed = chosen != today

    rule = np.full(len(products), NONE, dtype=object)
    rule[~ladders.there[:, :today].any(axis=1)] = ENDINGS if rules.endings else MAX_CHANGE
    margin = np.where(np.isfinite(products.cost), MIN_MARGIN, COST)
    other = dreamt != chosen
    barred = ~ladders.has_margin[row, dreamt]
    rule[other] = np.where(barred, margin, CONFIDENCE)[other]
    prices = np.where(ladders.there[:, :today], ladders.price[:, :today], ladders.price[:, [today]])
    last = (ladders.price[row, chosen] == prices.max(axis=1)) | (
        ladders.price[row, chosen] == prices.min(axis=1)
    )
    rule[~other & changed & last] = MAX_CHANGE
    rule[forced & changed] = MIN_MARGIN
    rule[none_feasible] = COLLIDING_MARGIN
    rule[stays != NONE] = stays[stays != NONE]
    better = np.where(other & (stays == NONE), ladders.price[row, dreamt], np.nan)
    better = np.where(forced & changed, np.nan, better)
    better = np.where(none_feasible & (stays == NONE), prices.max(axis=1), better)
    return Choice(
        ladders.price[row, chosen],
        changed,
        ladders.value[row, chosen],
        ladders.probability[row, chosen],
        rule,
        better,
        np.full(len(products), NONE, dtype=object),
    )


def _argmax(value: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Column of the largest value that is allowed, the last one, today's, where none is better or allowed."""
    of_allowed = np.where(allowed & ~np.isnan(value), value, -np.inf)
    best = of_allowed.argmax(axis=1)
    largest = of_allowed[np.arange(len(value)), best]
    keeps = allowed[:, -1] & (largest <= 0)
    return np.where(keeps | np.isneginf(largest), value.shape[1] - 1, best)
