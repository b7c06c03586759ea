"""Which column holds the units sold."""

import re

from elasticity_assets.ingestion.initial_settings.amount_columns import HOLDS, AmountColumns, Product
from elasticity_assets.ingestion.initial_settings.column_names import ideas, plain
from elasticity_assets.ingestion.initial_settings.decision import Decision, example
from elasticity_assets.warehouse.sql import quoted

KEY = "columns.units"


def find_units(amounts: AmountColumns, product: Product | None) -> Decision:
    """Find the units sold: by a product of columns, by names, or by whole numbers beside a price."""
    if product is not None:
        return Decision(KEY, product.units, f"{amounts.product_shown(product)}.")
    named = _narrowed(amounts, amounts.named("units", 3, 2))
    if len(named) == 1 and _may_be_thousands(amounts, named[0]):
        shown = amounts.shown(named[0])
        why = f"{named[0]!r} ({shown}) may be thousands of units; deliver units, or name it here if it is not"
        return Decision(KEY, None, why)
    if len(named) == 1:
        why = f"Its name and its numbers say so: {amounts.shown(named[0])}."
        return Decision(KEY, named[0], why)
    if named:
        return Decision(KEY, None, f"{example(*named)} may be the units sold; name one")
    vague = [name for name in amounts.named("units", 1) if amounts.profiles[name].n_distinct > 1]
    if len(vague) > 1:
        return Decision(KEY, None, f"{example(*vague)} may be units; name the one that is")
    prices = amounts.named("price", 3, 2) or amounts.named("regular_price", 3, 2)
    return _units_or_revenue(amounts, vague[0], prices) if vague else _none(amounts, prices)


def _may_be_thousands(amounts: AmountColumns, name: str) -> bool:
    """Whether units are called so, or most are a part of one."""
    numbers = amounts.numbers(name)
    is_part = 2 * numbers.n_fractions > amounts.profiles[name].n_given and (numbers.middle or 0.0) < 1.0
    return is_part or re.search(r"\b000s?\b|thousand|tausend|\btsd\b|mille|mila\b", plain(name)) is not None


def _narrowed(amounts: AmountColumns, named: list[str]) -> list[str]:
    """Of several columns, those whose names say sold, else those that vary."""
    if len(named) > 1:
        named = [name for name in named if ideas(name) & {"sold", "sales"}] or named
    if len(named) > 1:
        named = [name for name in named if amounts.profiles[name].n_distinct > 1] or named
    return named


def _units_or_revenue(amounts: AmountColumns, name: str, prices: list[str]) -> Decision:
    """Tell units from a revenue where a name such as `sales` may be either."""
    shown = amounts.shown(name)
    if not prices:
        why = f"{name!r} ({shown}) may be units or a revenue, and there is no price to compare it with"
        return Decision(KEY, None, why)
    price = prices[0]
    if amounts.is_whole(name) and not amounts.is_whole(price):
        why = (
            f"All its numbers are whole ({shown}), those of {price!r} are not ({amounts.shown(price)}), "
            "so it counts units and is no revenue."
        )
        return Decision(KEY, name, why)
    ratio = f"{quoted(name)} / {quoted(price)}"
    is_multiple = f"abs({ratio} - round({ratio})) * {quoted(price)} <= 0.011"
    given = f"{quoted(price)} > 0 AND {quoted(name)} > 0"
    if not amounts.is_whole(price) and amounts.share_where(is_multiple, given) >= HOLDS:
        why = (
            f"{name!r} is a whole number of times {price!r} in every row, so it is a revenue, and "
            "no column of units "
            f"is found; add one, {name} / {price}"
        )
        return Decision(KEY, None, why)
    return Decision(KEY, None, f"{name!r} ({shown}) may be units or a revenue; name it here if it is units")


def _none(amounts: AmountColumns, prices: list[str]) -> Decision:
    if unreadable := amounts.unreadable("units"):
        return Decision(KEY, None, f"{unreadable}; write numbers, or leave empty what is not known")
    if not prices:
        return Decision(KEY, None, "no column of units sold is found; name it, or add one")
    why = (
        f"there is {example(*prices[:2])}, and no column of units: where each line is one item "
        "sold, add a column of "
        "ones; a mere price list goes beside the sales (sales.join)"
    )
    return Decision(KEY, None, why)
