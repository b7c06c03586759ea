"""Why each price is recommended, in words."""

from math import isnan
from typing import NamedTuple

import numpy as np

from elasticity_assets.pricing import choice as rule_names
from elasticity_assets.pricing.choice import Choice
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.settings import PricingSettings

_KEPT = {
    rule_names.NONE: "no price within the rules is expected to bring more",
    rule_names.NOT_ESTIMATED: "the elasticity is not the product's own: its price never changed, or nothing was sold",
    rule_names.CONFOUNDED: "prices of the category follow demand, which biases its elasticity: see causal_evidence",
    rule_names.POSITIVE: "the elasticity is not negative",
    rule_names.NOT_SOLD: "nothing was sold of late",
    rule_names.LOCKED: "locked by pricing.groups",
    rule_names.MAX_CHANGE: "pricing.max_change allows no other price",
    rule_names.ENDINGS: "no price with one of pricing.endings lies within pricing.max_change",
    rule_names.COLLIDING_MARGIN: "no price within pricing.max_change reaches pricing.min_margin; the best is {better}",
    rule_names.COLLIDING_GROUPS: "pricing.groups cannot be kept within the other rules; the nearest price is {better}",
    rule_names.TOO_SLOW: "pricing.groups joins it with too many products to find prices in time: split the group",
    rule_names.MAX_PRODUCTS: "{better} would gain, but pricing.max_products other changes gain more",
    rule_names.CATEGORY_INDEX: (
        "{better} would gain alone, but with the others' changes the category's prices would move, and lose"
    ),
}
_MORE = {
    rule_names.MIN_MARGIN: "{better} would bring more, but pricing.min_margin forbids it",
    rule_names.COST: "{better} would bring more revenue, but without its cost no price below today's is recommended",
    rule_names.CONFIDENCE: "{better} would bring more, but gains with less than {confidence:.0%} probability",
    rule_names.GROUPS: "{better} would be best for it alone, but pricing.groups forbids it: {between}",
    rule_names.MAX_CHANGE: "pricing.max_change allows no further change",
}
"""What follows the first words, of a changed price or a kept one."""
_ROUNDING = 1e-9
_CENT = 0.01
_OBJECTIVES = {"profit": "profit", "revenue": "revenue", "units": "units", "margin_floor": "revenue"}


class _Row(NamedTuple):
    """What is said of one product."""

    price: float
    changed: bool
    gain: float
    probability: float
    rule: str
    better: float
    between: str
    counted: str
    price_min: float
    price_max: float
    now: float
    paid: float
    tested: bool


def reasons(products: Products, choice: Choice, rules: PricingSettings, cross: CrossEffects) -> list[str]:
    """Say in one line each why the prices are recommended."""
    counted = np.full(len(products), _OBJECTIVES[rules.objective])
    if rules.objective == "profit":
        counted = np.where(np.isnan(products.cost), "revenue", counted)
    has_substitutes = np.isin(np.arange(len(products)), cross.changed)
    counted = np.where(has_substitutes, np.char.add(counted, " with its substitutes'"), counted)
    columns = (
        choice.price,
        choice.changed,
        choice.gain,
        choice.probability,
        choice.rule,
        choice.better,
        choice.between,
        counted,
        products.price_min,
        products.price_max,
        products.price,
        products.price_paid,
        products.tested,
    )
    rows = map(_Row._make, zip(*(column.tolist() for column in columns), strict=True))
    return [_reason(row, rules.confidence) for row in rows]


def _reason(row: _Row, confidence: float) -> str:
    words = []
    if row.changed:
        words.append(
            f"{row.counted} {row.gain:+.2f} a period expected, a gain with {row.probability:.0%} probability"
        )
        if not row.price_min * (1 - _ROUNDING) <= row.price <= row.price_max * (1 + _ROUNDING):
            words.append(f"never charged before: {_number(row.price_min)} to {_number(row.price_max)} was")
    if row.changed and row.rule == rule_names.MIN_MARGIN and isnan(row.better):
        words.append("pricing.min_margin asks for it")
    elif not row.changed and row.rule in _KEPT:
        words.append(_KEPT[row.rule])
    elif row.rule in _MORE:
        words.append(_MORE[row.rule])
    if row.between and row.rule != rule_names.GROUPS:
        words.append("as in all zones: {between}")
    if row.changed and row.rule == rule_names.GROUPS and row.probability < confidence:
        words.append("no price that gains with {confidence:.0%} probability keeps it")
    if abs(row.now - row.paid) > 0.5 * _CENT:
        words.append(f"price_now is the regular price, {_number(row.paid)} was paid in the last period")
    if not row.tested:
        words.append("whether prices of its category follow demand is not tested")
    return "; ".join(words).format(better=_number(row.better), confidence=confidence, between=row.between)


def _number(price: float) -> str:
    if price < 1:
        return f"{price:.4g}"
    whole_mills = abs(price - round(price, 3)) < _ROUNDING
    return f"{price:.3f}".removesuffix("0") if whole_mills else f"{price:.2f}"
