"""The check of recommended prices: whether the settings' rules can be kept."""

from collections.abc import Sequence

import dagster as dg

from elasticity_assets.checks.result import text_table

_SHOWN = 20

RECOMMENDED_PRICES = [
    dg.AssetCheckSpec(
        "pricing_rules_can_be_kept",
        asset="recommended_prices",
        description="The settings' pricing rules can be kept, in time, and name products that are there.",
    )
]


def pricing_rules_can_be_kept(
    colliding: Sequence[str], too_slow: Sequence[str], unknown: Sequence[str]
) -> dg.AssetCheckResult:
    """Warn of rules that collide, or join too many products; these keep their prices. And of products not there.

    Parameters
    ----------
    colliding : sequence of str
        Products whose rules collide.
    too_slow : sequence of str
        Products that rules join, too many to find prices in time.
    unknown : sequence of str
        Products that rules name and that are not there.
    """
    trouble = []
    if colliding:
        trouble.append(
            f"rules collide for {len(colliding)} products, such as {colliding[0]!r}: their prices stay, and `reason` "
            "names the best feasible ones"
        )
    if too_slow:
        trouble.append(
            f"pricing.groups joins too many products to find prices in time, such as {too_slow[0]!r}: their prices "
            "stay; split the groups"
        )
    if unknown:
        trouble.append(
            f"pricing.groups names products without an elasticity: {', '.join(map(repr, unknown[:_SHOWN]))}"
        )
    rows = [["rules collide", product] for product in colliding[:_SHOWN]]
    rows += [["too many joined", product] for product in too_slow[:_SHOWN]]
    rows += [["not there", product] for product in unknown[:_SHOWN]]
    return dg.AssetCheckResult(
        check_name="pricing_rules_can_be_kept",
        passed=not trouble,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(trouble) or "all rules can be kept",
        metadata={"products": text_table(["what", "product"], rows)} if rows else {},
    )
