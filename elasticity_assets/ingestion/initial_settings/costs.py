"""Which columns hold the regular price and the cost a unit."""

from elasticity_assets.ingestion.initial_settings.amount_columns import AmountColumns
from elasticity_assets.ingestion.initial_settings.column_names import ideas
from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark
from elasticity_assets.warehouse.sql import quoted

MOSTLY_ABOVE = 0.9
"""Share of the rows in which the regular price is at least the price paid."""


def find_regular_price(
    amounts: AmountColumns, paid: str, taken: set[str]
) -> tuple[Decision | None, list[Remark]]:
    """Find the price without promotion; `paid` is the price paid as an SQL expression."""
    named = [name for name in amounts.named("regular_price", 3, 2) if name not in taken]
    if not named:
        return None, []
    name = named[0]
    share = amounts.share_where(f"{quoted(name)} >= 0.999 * {paid}", f"{quoted(name)} > 0 AND {paid} > 0")
    if share < MOSTLY_ABOVE:
        why = (
            f"{name!r} lies below the price paid in {1 - share:.0%} of the rows; not taken for the "
            "regular price."
        )
        return None, [Remark(why)]
    why = f"It is at least the price paid in {share:.0%} of the rows, such as {amounts.shown(name)}."
    return Decision("columns.regular_price", name, why), []


def find_cost(
    amounts: AmountColumns, units: str, paid: str, taken: set[str]
) -> tuple[Decision | None, list[Remark]]:
    """Find the cost a unit; `paid` is the price paid as an SQL expression."""
    named = [name for name in amounts.named("cost", 3, 2) if name not in taken]
    named = [name for name in named if "unit" in ideas(name)] or named
    if not named:
        return None, []
    name = named[0]
    spreads = amounts.spreads(units, name)
    if spreads is not None and spreads.is_total:
        return None, [
            Remark(f"{name!r} goes up with the units: a cost of the line and not of a unit; left out.")
        ]
    share = amounts.share_where(f"{quoted(name)} <= {paid}", f"{quoted(name)} > 0 AND {paid} > 0")
    if share < 0.5:
        return None, [
            Remark(
                f"{name!r} is above the price paid in {1 - share:.0%} of the rows; not taken for the cost."
            )
        ]
    why = (
        f"It is the cost a unit, at most the price paid in {share:.0%} of the rows, such as "
        f"{amounts.shown(name)}."
    )
    return Decision("columns.cost", name, why), []
