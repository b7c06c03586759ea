"""The answer that the report opens with: which prices to change, what that brings, and how sure it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from elasticity_assets.pricing import choice as rules
from elasticity_assets.report import charts
from elasticity_assets.report.numbers import (
    amount,
    change,
    counted,
    digits_of,
    how_sure,
    interval,
    probability,
)
from elasticity_assets.report.pictures import Picture
from elasticity_assets.report.published_rows import records, text
from elasticity_assets.warehouse.tables import PRODUCT_ELASTICITY, RECOMMENDED_PRICES

MOST_CHANGES = 10
"""Changes that the answer names; all others stand in the table of products."""
_ROUNDING = 1e-9

Objective = Literal["profit", "revenue", "units", "margin_floor"]

KEPT = {
    rules.NONE: "No price within the rules is expected to bring more.",
    rules.NOT_ESTIMATED: (
        "Nobody knows how they respond to their prices: these never changed, or nothing was sold. Try "
        "other prices for a few periods."
    ),
    rules.POSITIVE: (
        "Their elasticity is not negative, which no price should have: a promotion or display may be "
        "missing among the controls."
    ),
    rules.CONFOUNDED: (
        "Prices of their category seem to follow demand, which biases elasticities: nobody knows what a change "
        "would do. Name a control for what prices followed, or try prices by chance for some periods."
    ),
    rules.NOT_SOLD: "Nothing was sold of late.",
    rules.LOCKED: "Locked by pricing.groups.",
    rules.MAX_CHANGE: "pricing.max_change allows no other price.",
    rules.MIN_MARGIN: "pricing.min_margin forbids a better price.",
    rules.COST: (
        "A lower price would bring more revenue, but the sales have no cost to tell whether it would "
        "bring more profit. Name their column of costs in sales.columns.cost, or set pricing.objective "
        "to revenue."
    ),
    rules.CONFIDENCE: (
        "Another price may bring more, but not surely enough: a gain is less probable than "
        "pricing.confidence asks."
    ),
    rules.ENDINGS: "No price with one of pricing.endings lies within pricing.max_change.",
    rules.GROUPS: "pricing.groups forbids a better price.",
    rules.MAX_PRODUCTS: "They would gain, but pricing.max_products other changes gain more.",
    rules.CATEGORY_INDEX: "They would gain alone, but all changes of their category together would lose.",
    rules.TOO_SLOW: "pricing.groups joins too many products to find prices in time: split the group.",
    rules.COLLIDING_MARGIN: (
        "No price within pricing.max_change reaches pricing.min_margin: loosen one of the two."
    ),
    rules.COLLIDING_GROUPS: "pricing.groups cannot be kept within the other rules: loosen one of them.",
}
"""Why prices stay, in words, by what `binding_rule` of recommended_prices names."""
CHANGED = {
    rules.NONE: "the best price within the rules",
    rules.MAX_CHANGE: "as far as pricing.max_change allows",
    rules.MIN_MARGIN: "pricing.min_margin",
    rules.CONFIDENCE: "further, a gain would be less sure",
    rules.COST: "without a cost no further",
    rules.GROUPS: "as far as pricing.groups allows",
}
"""What keeps a changed price from going further, likewise."""
GAINS = (
    "Each row is a price to change: what it is expected to bring (dot), with its 90% credible interval (line). Blue: "
    "all of the interval is a gain. Grey: it may also lose."
)


@dataclass(frozen=True)
class Change:
    """A price to change, as text."""

    product: str
    description: str
    category: str
    action: str
    price_now: str
    price_recommended: str
    price_change: str
    gain: str
    gain_interval: str
    how_sure: str
    why: str
    careful: str


@dataclass(frozen=True)
class Kept:
    """Prices that stay for one reason, as text."""

    why: str
    n_products: str
    example: str


@dataclass(frozen=True)
class Total:
    """What all changes bring together, as text."""

    what: str
    expected: str
    share: str
    ends: str


@dataclass(frozen=True)
class Answer:
    """What the report opens with.

    Attributes
    ----------
    headline : str
        What to do.
    brings : str
        What that brings, in a sentence; where nothing changes, why.
    sure : str
        How sure that is, in a sentence; empty where nothing changes.
    totals : sequence of Total
    on_average, least_sure : str
        Probabilities of a gain in words and figures, of all changes on average and of the least sure one.
    changes : sequence of Change
        Those that bring most, at most MOST_CHANGES.
    left_out : int
        Changes that stand in the table of products only.
    picture : Picture or None
        Of these gains.
    kept : sequence of Kept
        The most frequent reason first.
    zones : str
        What uniform pricing costs, in a sentence; empty where zones are not known.
    """

    headline: str
    brings: str
    sure: str
    totals: Sequence[Total]
    on_average: str
    least_sure: str
    changes: Sequence[Change]
    left_out: int
    picture: Picture | None
    kept: Sequence[Kept]
    zones: str = ""


def recommendations(products: pd.DataFrame, recommended: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Put each product's recommendation beside its elasticity, those that gain most first.

    Parameters
    ----------
    products, recommended : DataFrame
        Rows of product_elasticity and recommended_prices.
    objective : str
        The settings' pricing.objective.

    Returns
    -------
    DataFrame
        All columns of `products`; those of `recommended`, `action` being keep where it has no row; `counted`, which of
        units, revenue and profit the objective counts, and its change as `gain`, `gain_q05` and `gain_q95`; `detail`,
        the description and attributes.
    """
    key = ["category", "product"]
    columns = [column.name for column in RECOMMENDED_PRICES.columns if column.name != "refit_id"]
    rows = products.merge(recommended[columns], on=key, how="left")
    rows["action"] = rows["action"].astype(object).where(rows["action"].notna(), "keep")
    rows["counted"] = "units" if objective == "units" else "revenue"
    if objective == "profit":
        rows.loc[rows["profit_change"].notna(), "counted"] = "profit"
    for end in ("", "_q05", "_q95"):
        rows[f"gain{end}"] = rows[f"revenue_change{end}"].astype(float)
        for what in ("profit", "units"):
            of_these = rows["counted"] == what
            rows.loc[of_these, f"gain{end}"] = rows.loc[of_these, f"{what}_change{end}"].astype(float)
    known = {column.name for column in PRODUCT_ELASTICITY.columns}
    attributes = [name for name in products.columns if name not in known]
    parts = [rows["product_description"], *(rows[name] for name in attributes)]
    rows["detail"] = [" · ".join(filter(None, map(text, row))) for row in zip(*parts, strict=True)]
    changed = rows["action"] != "keep"
    order = np.lexsort((-rows["revenue"].fillna(0.0), np.where(changed, -rows["gain"], np.inf)))
    return rows.iloc[order].reset_index(drop=True)


def answer(rows: pd.DataFrame, period: str, warned: frozenset[str] = frozenset(), zones: str = "") -> Answer:
    """Say what to change, what that brings and how sure it is.

    Parameters
    ----------
    rows : DataFrame
        From `recommendations`.
    period : str
        What sales are counted by, such as 'week'.
    warned : frozenset of str
        Categories of which a check warns.
    zones : str
        What uniform pricing costs, in a sentence.
    """
    changed = rows[rows["action"] != "keep"]
    money = price_digits(rows)
    kept = _kept(rows[rows["action"] == "keep"])
    totals = _totals(rows, changed, money, period)
    sure = changed["prob_gain"].astype(float)
    shown = changed.head(MOST_CHANGES)
    return Answer(
        _headline(changed, len(rows)),
        _brings(totals) if len(changed) else _why_none(rows, kept),
        _sure(sure) if sure.notna().any() else "",
        totals if len(changed) else [],
        how_sure(sure.mean()),
        how_sure(sure.min()),
        [change_row(row, money, warned) for row in records(shown)],
        len(changed) - len(shown),
        _picture(shown, period) if len(changed) > 1 else None,
        kept,
        zones,
    )


def price_digits(rows: pd.DataFrame) -> int:
    """Count the decimals of today's and the recommended prices, in rows from `recommendations`."""
    return digits_of(rows[["price_now", "price_recommended"]].to_numpy(np.float64))


def change_row(row: Mapping[str, Any], money: int, warned: frozenset[str] = frozenset()) -> Change:
    """Lay out one product's recommendation.

    Parameters
    ----------
    row : mapping
        A row from `recommendations`.
    money : int
        Decimals of prices.
    warned : frozenset of str
        Categories of which a check warns.
    """
    changes = row["action"] != "keep"
    now, then = row["price_now"], row["price_recommended"]
    rule = text(row["binding_rule"])
    why = [CHANGED.get(rule, rule)] if changes else [text(row["reason"])]
    if changes and not _charged_before(row):
        low, high = amount(row["price_min"], money), amount(row["price_max"], money)
        why.insert(0, f"never charged before: {low} to {high} was")
    careful = [text(row["flag"])]
    if row["category"] in warned:
        careful.append("its category has a warning")
    return Change(
        str(row["product"]),
        row["detail"],
        str(row["category"]),
        str(row["action"]),
        amount(now, money),
        amount(then, money),
        change(then / now - 1.0) if changes else "",
        f"{amount(row['gain'], max(money, 2), signed=True)}{_unlike_revenue(row['counted'])}"
        if changes
        else "",
        interval(row["gain_q05"], row["gain_q95"], max(money, 2)) if changes else "",
        how_sure(row["prob_gain"]) if changes else "",
        "; ".join(why),
        "; ".join(filter(None, careful)),
    )


def _unlike_revenue(what: str) -> str:
    return "" if what == "revenue" else f" {what}"


def _charged_before(row: Mapping[str, Any]) -> bool:
    low, high = row["price_min"] * (1 - _ROUNDING), row["price_max"] * (1 + _ROUNDING)
    return bool(low <= row["price_recommended"] <= high)


def _headline(changed: pd.DataFrame, n_products: int) -> str:
    actions = {
        action: count for action in ("raise", "lower") if (count := int((changed["action"] == action).sum()))
    }
    if not actions:
        return "Change no price"
    of = f"of {counted(n_products, 'price', 'prices')}"
    if len(actions) == 1:
        ((action, count),) = actions.items()
        return f"{action.capitalize()} {count:,} {of}"
    parts = ", ".join(f"{action} {count:,}" for action, count in actions.items())
    return f"Change {sum(actions.values()):,} {of}: {parts}"


def _totals(rows: pd.DataFrame, changed: pd.DataFrame, money: int, period: str) -> list[Total]:
    """Add up what all products' sales change by: those of substitutes of a changed one do, too."""
    profit = ["profit"] if changed["profit_change"].notna().any() else []
    order = ["units", "revenue"] if (changed["counted"] == "units").any() else ["revenue", "units"]
    # What is counted comes first.
    order = profit + order if (changed["counted"] == "profit").any() else order + profit
    n_known = int(rows["profit_change"].notna().sum())
    of_known = f" of {counted(n_known, 'product', 'products')} with a cost" if n_known < len(rows) else ""
    found = []
    for what in order:
        expected, low, high = (
            rows[f"{what}_change{end}"].astype(float).sum() for end in ("", "_q05", "_q95")
        )
        base = np.nan if what == "profit" else float(rows[f"{what}_per_period"].astype(float).sum())
        share = change(expected / base) if base > 0 else ""
        digits = 1 if what == "units" else max(money, 2)
        found.append(
            Total(
                f"{what} a {period}" + of_known * (what == "profit"),
                amount(expected, digits, signed=True),
                share and f"{share} of today's",
                interval(low, high, digits),
            )
        )
    return found


def _brings(totals: Sequence[Total]) -> str:
    first = totals[0]
    return f"Expected: {first.what} {first.expected}" + (f" ({first.share})." if first.share else ".")


def _sure(probabilities: pd.Series) -> str:
    """Say how sure gains are; the number that gain is expected to be the sum, however they hang together."""
    known = probabilities.dropna()
    if len(known) == 1:
        return f"That it gains is {how_sure(known.iloc[0]).replace(',', ':')}."
    told = f"Of the {len(known):,} changes, {known.sum():,.1f} are expected to gain"
    surest, least = probability(known.max()), probability(known.min())
    if surest == least:
        return f"{told}, each with a probability of {least}."
    return f"{told}; the surest with a probability of {surest}, the least sure with {least}."


def _why_none(rows: pd.DataFrame, kept: Sequence[Kept]) -> str:
    if not len(rows):
        return "No product is published."
    if not rows["estimated"].any():
        return (
            "No product's elasticity is estimated: no price ever changed, or nothing was sold. What a change would do, "
            "nobody knows; try other prices for a few periods."
        )
    return f"Of {kept[0].n_products} of {counted(len(rows), 'product', 'products')}: {kept[0].why}"


def _kept(rows: pd.DataFrame) -> list[Kept]:
    found = []
    rules_of_rows = rows["binding_rule"].map(text)
    for rule, count in rules_of_rows.value_counts(sort=True).items():
        first = records(rows[rules_of_rows == rule].head(1))[0]
        example = (
            f"{first['product']}: {text(first['reason'])}" if text(first["reason"]) else str(first["product"])
        )
        found.append(Kept(KEPT.get(str(rule), str(rule)), f"{count:,}", example))
    return found


def _picture(rows: pd.DataFrame, period: str) -> Picture:
    """Show what the largest changes bring; of one kind, so that they have one axis."""
    what = rows["counted"].iloc[0]
    alike = rows[rows["counted"] == what]
    names = [f"{row['product']} {text(row['product_description'])}".strip() for row in records(alike)]
    mean, low, high = (alike[column].to_numpy(np.float64) for column in ("gain", "gain_q05", "gain_q95"))
    chart = charts.gains(names, mean, low, high, f"{what} a {period}")
    return Picture("What the changes bring", [chart], GAINS)
