"""Whether a discount is still to be taken off the price."""

from elasticity_assets.ingestion.initial_settings.amount_columns import AmountColumns
from elasticity_assets.ingestion.initial_settings.column_names import ideas
from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark
from elasticity_assets.warehouse.sql import quoted, statement

KEY = "columns.discount"


def decide_discount(amounts: AmountColumns, price: str, discount: str) -> tuple[list[Decision], list[Remark]]:
    """Tell a list price, from which a discount is still to be taken, from the price paid.

    The price paid goes down within a product where its discount goes up; the list price does not.
    """
    figures = amounts.numbers(discount)
    largest, smallest = figures.largest or 0.0, figures.smallest or 0.0
    profile = amounts.profiles[discount]
    if largest == 0.0:
        return [], [Remark(f"{discount!r} is zero throughout, and left out.")]
    if profile.n_distinct <= 2 and largest == 1.0:
        return [], [Remark(f"{discount!r} is only 0 or 1, a flag and no share of the price; left out.")]
    if smallest < 0 or largest > 100 or "amount" in ideas(discount):
        why = (
            f"{discount!r} ({smallest:g} to {largest:g}) is no share or percentage of {price!r}; "
            "take it off the prices, or "
            f"remove this line if {price!r} is what was paid"
        )
        return [Decision(KEY, None, why)], []
    slope, is_flat = _effect(amounts, price, discount, 100.0 if largest > 1.0 else 1.0)
    if is_flat:
        return _off_the_list_price(amounts, price, discount, largest)
    if slope is not None and 0.6 <= slope <= 1.4:
        why = f"{price!r} goes down where {discount!r} goes up: it is what was paid, and {discount!r} is left out."
        return [], [Remark(why)]
    why = (
        f"{price!r} may be before or after {discount!r} (up to {largest:g}): name {discount!r} here if it is before, "
        "remove this line if after"
    )
    return [Decision(KEY, None, why)], []


def _off_the_list_price(
    amounts: AmountColumns, price: str, discount: str, largest: float
) -> tuple[list[Decision], list[Remark]]:
    """Take a discount off the list price, if it is surely a share of it and no amount of money."""
    evidence = _share_or_money(amounts, price, discount)
    if evidence is None:
        why = (
            f"{discount!r} (up to {largest:g}) may be a share of {price!r} or an amount of money: name it here "
            "if it is a share; else take it off the prices"
        )
        return [Decision(KEY, None, why)], []
    why = (
        f"{price!r} is the list price, as it does not go down where {discount!r} goes up (to {largest:g}): the price "
        f"paid is {price} x (1 - {discount})."
    )
    unit = "percent" if largest > 1.0 or amounts.profiles[discount].n_percent else "fraction"
    return [
        Decision(KEY, discount, why),
        Decision("discount_unit", unit, f"The largest is {largest:g}, and {evidence}."),
    ], []


def _share_or_money(amounts: AmountColumns, price: str, discount: str) -> str | None:
    """Say what shows that a discount is a share of the price; None if it may be money."""
    if amounts.profiles[discount].n_percent or "percent" in ideas(discount) or "%" in discount:
        return "it is called or written as a percentage"
    given = f"{quoted(price)} > 0 AND {quoted(discount)} > 0"
    if amounts.share_where(f"{quoted(discount)} > {quoted(price)}", given) > 0:
        return "it exceeds the price, which money could not"
    ask = statement("discount_by_price", discount=quoted(discount), price=quoted(price))
    slope, fit, n, of_discount, of_price = amounts.connection.execute(ask).fetchall()[0]
    if not n or n < 10 or not of_price:
        return None
    error = CLUSTERED * ((1.0 - (fit or 0.0)) * of_discount / (of_price * (n - 2))) ** 0.5
    if slope + 2.6 * error < 0.5:
        return "it is as large on dear products as on cheap ones, which money would not be"
    return None


CLUSTERED = 2.0
"""Standard errors are larger by so much, as discounts last for several rows."""


def _effect(amounts: AmountColumns, price: str, discount: str, scale: float) -> tuple[float | None, bool]:
    """Slope of log price on log (1 - discount) within products, if it explains much; and whether it is surely 0."""
    if amounts.product is None:
        return None, False
    share = f"(coalesce({quoted(discount)}, 0) / {scale})"
    parts = {"product": quoted(amounts.product), "price": quoted(price), "discount": share}
    ask = statement("discount_and_price", **parts)
    slope, fit, n, of_price, of_discount = amounts.connection.execute(ask).fetchall()[0]
    if not n or not of_discount:
        return None, False
    if of_price < 0.05 * of_discount:
        return None, True
    return (slope if (fit or 0.0) >= 0.3 else None), abs(slope or 0.0) < 0.2
