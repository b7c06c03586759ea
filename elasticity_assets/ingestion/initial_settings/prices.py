"""Which column holds the price paid, or the revenue that gives it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from elasticity_assets.ingestion.initial_settings.amount_columns import AmountColumns, Product
from elasticity_assets.ingestion.initial_settings.column_names import ideas, name_strengths
from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark, example
from elasticity_assets.ingestion.initial_settings.discounts import decide_discount
from elasticity_assets.warehouse.sql import quoted, statement

LEAST_PAID = 0.2
"""Share of the list price that is paid in nearly all rows, at least."""


SIMILAR = 2.0
"""A column whose median is within this factor of units x price may be the revenue."""


@dataclass(frozen=True)
class PriceFound:
    """The price or revenue, what belongs to it, and what else is to be known."""

    decisions: list[Decision]
    remarks: list[Remark] = field(default_factory=list)


def find_price(amounts: AmountColumns, units: str | None, product: Product | None) -> PriceFound:
    """Find the price paid: a column of it, a list price with its discount, or revenue / units."""
    discounts = amounts.named("discount", 3)
    if product is not None:
        why = (
            f"{amounts.product_shown(product)}, so it is the price a unit, such as "
            f"{amounts.shown(product.price)}."
        )
        return _with_discounts(amounts, Decision("columns.price", product.price, why), discounts)
    prices = _narrowed(amounts, [name for name in amounts.named("price", 3, 2, 1) if name != units])
    revenues = [name for name in amounts.named("revenue", 3, 2, 1) if name != units]
    if len(prices) > 1:
        return _open(f"{example(*prices)} may be the price paid; name one")
    if prices and revenues and units:
        return _beside_revenue(amounts, units, prices[0], revenues[0], discounts)
    if prices:
        return _price_alone(amounts, units, prices[0], discounts)
    if len(revenues) > 1:
        return _open(f"{example(*revenues)} may be the revenue; name one", "columns.revenue")
    return _revenue_alone(amounts, units, revenues[0], discounts) if revenues else _none(amounts, units)


def _open(why: str, key: str = "columns.price") -> PriceFound:
    return PriceFound([Decision(key, None, why)])


def _none(amounts: AmountColumns, units: str | None) -> PriceFound:
    if unreadable := amounts.unreadable("price") or amounts.unreadable("revenue"):
        return _open(f"{unreadable}; write numbers, or leave empty what is not known")
    unknown = [
        name for name, p in amounts.profiles.items() if p.is_number and not ideas(name) and name != units
    ]
    among = f" (not known: {example(*unknown[:6])})" if unknown else ""
    return _open(
        f"no column of prices or revenue is found{among}; name it, or put a table of prices beside "
        "the sales (sales.join)"
    )


def _narrowed(amounts: AmountColumns, named: list[str]) -> list[str]:
    """Of several columns with prices above zero, the only one said to be paid, a mean, or a unit's."""
    named = [name for name in named if (amounts.numbers(name).largest or 0.0) > 0.0]
    for better in ("paid", "average", "unit"):
        liked = [name for name in named if better in ideas(name)]
        if len(named) > 1 and len(liked) == 1:
            return liked
    return named


def _beside_revenue(
    amounts: AmountColumns, units: str, price: str, revenue: str, discounts: Sequence[str]
) -> PriceFound:
    """Where units x price is not the revenue: the revenue tells what was paid, if it lies below."""
    columns = {"units": quoted(units), "price": quoted(price), "revenue": quoted(revenue)}
    ask = statement("ratio_of_revenue", **columns)
    quantiles, below, above, n = amounts.connection.execute(ask).fetchall()[0]
    if not n:
        return _price_alone(amounts, units, price, discounts)
    low, middle, high = quantiles
    if high - low <= 0.02 * middle:
        why = (
            f"{revenue!r} is {middle:.3g} times {units!r} x {price!r} in nearly every row, as tax would "
            "make it."
        )
        return PriceFound([Decision("columns.price", price, why)])
    if above <= 0.02 and low >= LEAST_PAID and (below <= 0.95 or discounts):
        shown = f"{revenue!r} is at most {units!r} x {price!r}, and less in {below:.0%} of the rows"
        paid = Decision("columns.revenue", revenue, f"{shown}: the price paid is {revenue} / {units}.")
        regular = Decision("columns.regular_price", price, f"It is the price before the discount: {shown}.")
        return PriceFound([paid, regular])
    is_other = not 1 / SIMILAR <= middle <= SIMILAR
    if is_other and name_strengths(revenue)["revenue"] < 3 and name_strengths(price).get("price") == 3:
        found = _price_alone(amounts, units, price, discounts)
        why = f"{revenue!r} is not {units!r} x {price!r}, and not taken for the revenue."
        return PriceFound(found.decisions, [*found.remarks, Remark(why)])
    gap = f"abs({columns['units']} * {columns['price']} - {columns['revenue']})"
    ask = statement(
        "example_where",
        shown=", ".join(columns.values()),
        condition=f"{gap} > 0.01 * abs({columns['revenue']})",
    )
    row = amounts.connection.execute(ask).fetchone()
    shown = f" ({row[0]:g} x {row[1]:g} is not {row[2]:g})" if row else ""
    return _open(
        f"{price!r} may be the price, or {revenue!r} / {units!r}: they differ{shown}; name the "
        "column of the price paid, "
        f"or write `revenue: {revenue}` instead of this line"
    )


def _revenue_alone(
    amounts: AmountColumns, units: str | None, revenue: str, discounts: Sequence[str]
) -> PriceFound:
    if units is None:
        why = f"It looks like the revenue, such as {amounts.shown(revenue)}; with units it gives prices."
        return PriceFound([Decision("columns.revenue", revenue, why)])
    spreads = amounts.spreads(units, revenue)
    if name_strengths(revenue)["revenue"] < 3 and spreads is not None and spreads.is_a_unit:
        return _open(
            f"{revenue!r} ({amounts.shown(revenue)}) may be the price a unit or the revenue: it "
            "varies less than "
            f"{revenue} / {units}; name it here if it is the price, or write `revenue: {revenue}` instead"
        )
    remarks = []
    if discounts:
        why = f"{example(*discounts)} is not needed: {revenue!r} is taken for what was paid, after discounts."
        remarks.append(Remark(why))
    why = f"The price is {revenue} / {units}, such as {amounts.shown(revenue)} of one row."
    return PriceFound([Decision("columns.revenue", revenue, why)], remarks)


def _price_alone(
    amounts: AmountColumns, units: str | None, price: str, discounts: Sequence[str]
) -> PriceFound:
    """Take a price, unless it is the total of a line."""
    spreads = amounts.spreads(units, price) if units else None
    if spreads is not None and spreads.is_total and not discounts:
        why = (
            f"{price!r} goes up with the units, and {price} / {units} varies much less within a "
            "product: it is the "
            f"total of a line, such as {amounts.shown(price)}."
        )
        return PriceFound([Decision("columns.revenue", price, why)])
    why = f"Its name and its numbers say so: {amounts.shown(price)}."
    if "regular_price" in name_strengths(price) and not discounts:
        why = f"It is the only price, such as {amounts.shown(price)}; it has to be what was paid."
    return _with_discounts(amounts, Decision("columns.price", price, why), discounts)


def _with_discounts(amounts: AmountColumns, price: Decision, discounts: Sequence[str]) -> PriceFound:
    if not discounts:
        return PriceFound([price])
    if len(discounts) > 1:
        why = (
            f"{example(*discounts)} are discounts; name the one that is taken off {price.value!r}, "
            "or remove this line if "
            f"{price.value!r} is what was paid"
        )
        return PriceFound([price, Decision("columns.discount", None, why)])
    decisions, remarks = decide_discount(amounts, price.value, discounts[0])
    return PriceFound([price, *decisions], remarks)
