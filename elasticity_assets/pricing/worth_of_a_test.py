"""What a price test is worth: how much better a price is chosen once its product's elasticity is known better.

A test's outcome is not known beforehand, but how it is distributed is: where an elasticity is believed to be normal
with sd s, its mean after a test that leaves an sd of v is normal around today's, with variance s^2 - v^2. Each such
mean has a best price; what that is expected to gain, on average, over the best price by what is believed today, is the
test's worth (preposterior analysis; Raiffa and Schlaifer 1961). The sd that is believed has a part for what the
posterior does not know: that something unseen moves prices and sales. That prices are kept where they follow demand is
not held against today: what leaving that rule out gains is nothing that a test tells.
"""

from dataclasses import dataclass

import numpy as np

from elasticity_assets.fitting.threads import cores, run_each
from elasticity_assets.pricing import choice as rule_names
from elasticity_assets.pricing.choice import best_columns
from elasticity_assets.pricing.ladder import RUNGS
from elasticity_assets.pricing.options import Ladders, ladders
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.recommend import parts
from elasticity_assets.settings import PricingSettings

LEFT = 0.5
"""Share of today's sd that a test is to leave."""
SHORTEST, LONGEST = 4, 26
"""Periods of a test: even, so that each price is charged as often; what is not known by then stays so."""
DOUBT, NO_SIGN = 0.5, 0.1
"""Strength of a confounder, one sd of what is thought possible: where prices seem to follow demand, or that is not
tested, and where there is no sign of it. `bias_per_confounding` times it is the doubt in the elasticity."""
_NODES = np.linspace(-3.0, 3.0, 21)  # of the mean after a test, in sds
_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()
_RUNGS = RUNGS // 2
"""So many of each ladder's are looked at, beside today's price: gains bend little in between."""
_OTHER_RULES = (
    rule_names.LOCKED,
    rule_names.NOT_SOLD,
    rule_names.GROUPS,
    rule_names.MAX_PRODUCTS,
    rule_names.CATEGORY_INDEX,
    rule_names.TOO_SLOW,
    rule_names.COLLIDING_GROUPS,
    rule_names.COLLIDING_MARGIN,
)
"""What keeps a price whatever its product's elasticity is."""


@dataclass(frozen=True)
class PriceTests:
    """A test of each product's price; all arrays have shape (n,).

    Attributes
    ----------
    price_low, price_high : float array
        Charged in turns.
    periods : int array
        How long; 0 where the price cannot be tested.
    sd_now, sd_after : float array
        Of the elasticity, as it is believed today, and once tested.
    gain : float array
        Expected of deciding after the test and not before it, in what the objective counts, a period; 0 where there is
        no test.
    """

    price_low: np.ndarray
    price_high: np.ndarray
    periods: np.ndarray
    sd_now: np.ndarray
    sd_after: np.ndarray
    gain: np.ndarray

    @property
    def gain_per_period_of_testing(self) -> np.ndarray:
        """What a test brings a period for each period that it takes, shape (n,)."""
        return self.gain / np.maximum(self.periods, 1)


def believed_sd(products: Products, bias_per_confounding: np.ndarray) -> np.ndarray:
    """Give the sd of the elasticities with the doubt that something unseen moves prices and sales, shape (n,).

    Parameters
    ----------
    products : Products
    bias_per_confounding : float array, shape (n,)
        By how much a confounder of strength 1 moves the elasticity; NaN where that is not known: the median of those
        that are known stands for it, and no doubt where none is.
    """
    known = np.isfinite(bias_per_confounding)
    usual = np.median(bias_per_confounding[known]) if known.any() else 0.0
    strength = np.where(products.confounded | ~products.tested, DOUBT, NO_SIGN)
    return np.hypot(products.elasticity_sd, strength * np.where(known, bias_per_confounding, usual))


def price_tests(
    products: Products,
    rule: np.ndarray,
    log_units_sd: np.ndarray,
    sd: np.ndarray,
    rules: PricingSettings,
    cross: CrossEffects | None = None,
) -> PriceTests:
    """Work out the test of each product's price, and what it is worth.

    Parameters
    ----------
    products : Products
        All of them.
    rule : object array of str, shape (n,)
        The rule that keeps it from a better one, as of `Choice`.
    log_units_sd : float array, shape (n,)
        Of a period's log units around what the model explains; NaN where it is not known.
    sd : float array, shape (n,)
        Of the elasticities, from `believed_sd`.
    rules : PricingSettings
    cross : CrossEffects, optional
        Of prices on other products' units.
    """
    cross = cross or CrossEffects.none()
    found = PriceTests(
        products.price.copy(),
        products.price.copy(),
        np.zeros(len(products), np.int64),
        sd,
        sd.copy(),
        np.zeros(len(products)),
    )
    can = (products.units > 0) & (products.price > 0) & (sd > 0) & np.isfinite(sd + log_units_sd)
    (places,) = np.nonzero(can & ~np.isin(rule.astype(str), _OTHER_RULES))

    def work_out(part: np.ndarray) -> None:
        of_part = products.take(part)
        rungs = ladders(of_part, rules, cross.of(part), products)
        low, high = _ends(rungs, of_part)
        with np.errstate(divide="ignore", invalid="ignore"):
            informs = (0.5 * np.log(high / low) / log_units_sd[part]) ** 2  # precision of a period
            length = (LEFT**-2 - 1.0) / (sd[part] ** 2 * informs)
        length = np.clip(2 * np.ceil(length / 2), SHORTEST, LONGEST) * (informs > 0)
        after = (sd[part] ** -2 + length * informs) ** -0.5
        found.price_low[part], found.price_high[part] = low, high
        found.periods[part], found.sd_after[part] = length, after
        found.gain[part] = _worth(rungs, of_part, sd[part], after, rules) * (length > 0)

    for _, done in run_each(work_out, parts(places), cores()):
        done.result()
    return found


def _ends(rungs: Ladders, products: Products) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest price to test: with the margin asked for, and not below cost, but for today's."""
    may_be = rungs.has_margin & np.isfinite(rungs.price) & ~(rungs.price < products.cost[:, None])
    price = np.where(may_be, rungs.price, products.price[:, None])
    return price.min(axis=1), price.max(axis=1)


def _worth(
    rungs: Ladders, products: Products, sd: np.ndarray, after: np.ndarray, rules: PricingSettings
) -> np.ndarray:
    """Expect what the price chosen after the test gains over the one chosen before it, shape (n,); never below 0."""
    some = rungs.some(_spread_out(rungs.price))

    def gain(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        found = some.options(mean, sd, rules.confidence)
        chosen, _ = best_columns(found, ~(mean < 0))
        return found.value[np.arange(len(mean)), chosen]

    spread = np.sqrt(np.maximum(sd**2 - after**2, 0.0))
    then = sum(
        weight * gain(products.elasticity + node * spread, after)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True)
    )
    return np.maximum(then - gain(products.elasticity, sd), 0.0)


def _spread_out(price: np.ndarray) -> np.ndarray:
    """Columns of `_RUNGS` prices of each ladder that are there, its ends among them, and of today's; shape (n, k)."""
    there = np.isfinite(price[:, :-1])
    first = np.argsort(~there, axis=1, kind="stable")
    place = np.rint(np.linspace(0, 1, _RUNGS) * np.maximum(there.sum(axis=1) - 1, 0)[:, None]).astype(
        np.int64
    )
    today = np.full((len(price), 1), price.shape[1] - 1)
    return np.concatenate([np.take_along_axis(first, place, axis=1), today], axis=1)
