"""Each product's ladder of prices, with what each price brings and which rules forbid it."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from elasticity_assets.pricing.gains import BreakEven, expected_factor
from elasticity_assets.pricing.ladder import candidate_prices
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.settings import PricingSettings

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Options:
    """The prices of each product's ladder; arrays have shape (n, k), the last column is today's price.

    Attributes
    ----------
    price : float array
        NaN where a rung has no price.
    value : float array
        Expected gain in what the settings' objective counts, over today's price, a period; 0 at today's.
    probability : float array
        That the gain is above 0; NaN at today's price.
    has_margin : bool array
        Whether the price keeps the margin that the settings ask for.
    sure : bool array
        Whether the gain is as probable as the settings ask for; true at today's price.
    """

    price: np.ndarray
    value: np.ndarray
    probability: np.ndarray
    has_margin: np.ndarray
    sure: np.ndarray

    @property
    def there(self) -> np.ndarray:
        """Whether a rung has a price, shape (n, k)."""
        return np.isfinite(self.price)

    @property
    def feasible(self) -> np.ndarray:
        """Whether a price breaks no rule of its product alone, shape (n, k)."""
        return self.there & self.has_margin


@dataclass(frozen=True)
class Ladders:
    """What is known of each product's prices whatever its elasticity is; arrays have shape (n, k), as in `Options`.

    Attributes
    ----------
    price : float array
        NaN where a rung has no price.
    log_ratio : float array
        Log of the price over today's.
    worth : float array
        What a unit brings of what the objective counts.
    from_others, from_others_sd : float array
        What other products gain at each price, a period, and its standard deviation.
    has_margin : bool array
        Whether the price keeps the margin that the settings ask for.
    units : float array, shape (n, 1)
        Sold a period of late.
    """

    price: np.ndarray
    log_ratio: np.ndarray
    worth: np.ndarray
    from_others: np.ndarray
    from_others_sd: np.ndarray
    has_margin: np.ndarray
    units: np.ndarray

    def some(self, rungs: np.ndarray) -> "Ladders":
        """Take some rungs of each ladder, columns (n, k); the last has to be today's."""
        of_rungs = {
            field.name: np.take_along_axis(getattr(self, field.name), rungs, axis=1)
            for field in fields(self)
            if field.name != "units"
        }
        return Ladders(**of_rungs, units=self.units)

    @cached_property
    def break_even(self) -> BreakEven:
        """The elasticities at which the prices bring what today's do; arrays of shape (n, k)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            a_unit, a_unit_sd = (
                np.where(self.units > 0, part / self.units, 0.0)
                for part in (self.from_others, self.from_others_sd)
            )
        return BreakEven.of(self.worth, self.worth[:, -1:] - a_unit, self.log_ratio, a_unit_sd)

    def options(self, elasticity: np.ndarray, elasticity_sd: np.ndarray, confidence: float) -> Options:
        """Work out what each price brings.

        Parameters
        ----------
        elasticity, elasticity_sd : float array, shape (n,)
            Mean and standard deviation of the normal posterior of the elasticity.
        confidence : float
            Probability of a gain from which a price is sure.
        """
        mean, sd = elasticity[:, None], elasticity_sd[:, None]
        worth, units = self.worth, self.units
        value = units * (worth * expected_factor(self.log_ratio, mean, sd) - worth[:, -1:]) + self.from_others
        probability = self.break_even.probability_of_gain(mean, sd)
        sure = probability >= confidence
        sure[:, -1] = True
        return Options(self.price, value, probability, self.has_margin, sure)


def ladders(products: Products, rules: PricingSettings, cross: CrossEffects, others: Products) -> Ladders:
    """Lay out each product's ladder.

    Parameters
    ----------
    products : Products
    rules : PricingSettings
    cross : CrossEffects
        Of the products' prices on `others`.
    others : Products
        All products: those whose units change with a price, too.
    """
    price = candidate_prices(products.price, rules.max_change, rules.endings)
    return ladders_of(price, products, rules, cross, others)


def ladders_of(
    price: np.ndarray, products: Products, rules: PricingSettings, cross: CrossEffects, others: Products
) -> Ladders:
    """Lay out given prices as ladders.

    Parameters
    ----------
    price : float array, shape (n, k)
        The last column is today's.
    products, rules, cross, others
        As of `ladders`.
    """
    log_ratio = np.log(price / products.price[:, None])
    worth = (
        price - _counted_cost(products, rules)[:, None] if rules.objective != "units" else np.ones_like(price)
    )
    from_others, from_others_sd = _from_others(log_ratio, rules, cross, others)
    has_margin = _has_margin(price, products, rules)
    return Ladders(price, log_ratio, worth, from_others, from_others_sd, has_margin, products.units[:, None])


def options(products: Products, rules: PricingSettings, cross: CrossEffects, others: Products) -> Options:
    """Work out what each price of each product's ladder brings; parameters as of `ladders`."""
    of_products = ladders(products, rules, cross, others)
    return of_products.options(products.elasticity, products.elasticity_sd, rules.confidence)


def margin_matters(rules: PricingSettings) -> bool:
    """Whether a price below today's may not be chosen while the cost is not known."""
    return rules.min_margin is not None or rules.objective in ("profit", "margin_floor")


def worth_of_a_unit(products: Products, rules: PricingSettings) -> np.ndarray:
    """Give what a unit sold today brings of what the objective counts, shape (n,)."""
    return (
        np.ones(len(products))
        if rules.objective == "units"
        else products.price - _counted_cost(products, rules)
    )


def _counted_cost(products: Products, rules: PricingSettings) -> np.ndarray:
    """Cost that the objective takes off the price, shape (n,): 0 where it counts revenue."""
    return (
        np.where(np.isfinite(products.cost), products.cost, 0.0)
        if rules.objective == "profit"
        else np.zeros(len(products))
    )


def _has_margin(price: np.ndarray, products: Products, rules: PricingSettings) -> np.ndarray:
    """Whether prices keep the margin; without a cost those not below today's do, as far as is known."""
    if not margin_matters(rules):
        return np.ones(price.shape, bool)
    cost, today = products.cost[:, None], products.price[:, None]
    least = np.full_like(today, -np.inf if rules.min_margin is None else rules.min_margin)
    if rules.objective == "margin_floor" and rules.min_margin is None:
        least = (today - cost) / today
    with np.errstate(invalid="ignore"):
        kept = (price - cost) / price >= least - _ROUNDING
        not_lower = price >= today * (1 - _ROUNDING)
    return np.where(np.isfinite(cost), kept, not_lower)


def _from_others(
    log_ratio: np.ndarray, rules: PricingSettings, cross: CrossEffects, others: Products
) -> tuple[np.ndarray, np.ndarray]:
    """Expect what other products, which keep their prices, gain at each price of each product, and its sd: each (n, k).

    The effects on all others have one error. Where profit counts and an other's cost is not known, nothing that it
    gains counts, and what it loses does at its full price.
    """
    found, sd = np.zeros_like(log_ratio), np.zeros_like(log_ratio)
    if not len(cross.changed):
        return found, sd
    lost = (worth_of_a_unit(others, rules) * others.units)[cross.affected]
    cost_unknown = rules.objective == "profit" and np.isnan(others.cost)[cross.affected]
    gained = np.where(cost_unknown, 0.0, lost)
    for rung, of_rung in enumerate(np.nan_to_num(log_ratio).T):  # effects are many more than products
        log_ratios = of_rung[cross.changed]
        factor = expected_factor(log_ratios, cross.elasticity, cross.elasticity_sd)
        weight = np.where(factor > 1, gained, lost)
        error = np.abs(weight * factor * log_ratios) * cross.elasticity_sd
        found[:, rung] = np.bincount(cross.changed, weight * (factor - 1), len(found))
        sd[:, rung] = np.bincount(cross.changed, error, len(found))
    return found, sd
