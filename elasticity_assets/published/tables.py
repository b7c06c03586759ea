"""What the published file holds: tables of the warehouse, and a macro."""

from collections.abc import Sequence

from elasticity_assets.warehouse.sales_tables import REJECTED_SALES, SUSPECT_SALES, weekly_sales
from elasticity_assets.warehouse.schema import Table
from elasticity_assets.warehouse.tables import (
    CATEGORY_ELASTICITY,
    CATEGORY_MOVE_ELASTICITY,
    CAUSAL_EVIDENCE,
    CHECK_RESULTS,
    CONTROL_EFFECT,
    CROSS_ELASTICITY,
    ELASTICITY_HISTORY,
    FIT_DIAGNOSTICS,
    GLOBAL_ELASTICITY,
    HELDOUT_SCORES,
    NUTS_CROSS_CHECK,
    PRICE_SCENARIOS,
    PRODUCT_ELASTICITY,
    PROMOTION_ELASTICITY,
    RECOMMENDED_PRICES,
    RECOMMENDED_TESTS,
    REFITS,
    UNIFORM_PRICING,
    ZONE_ELASTICITY,
    with_attributes,
)

MACRO_COMMENT = (
    "What units and revenue of a product do at any price change above -1 [fraction of the price]: of this product "
    "alone (at once, lasting, as a promotion of one period), and of its whole category; flagged beyond the prices "
    "observed. Columns as in price_scenarios"
)


def published_tables(controls: Sequence[str] = (), attributes: Sequence[str] = ()) -> tuple[Table, ...]:
    """All published tables, for these controls and attributes of products."""
    return (
        with_attributes(PRODUCT_ELASTICITY, attributes),
        with_attributes(RECOMMENDED_PRICES, attributes),
        UNIFORM_PRICING,
        RECOMMENDED_TESTS,
        ZONE_ELASTICITY,
        CATEGORY_MOVE_ELASTICITY,
        CROSS_ELASTICITY,
        CATEGORY_ELASTICITY,
        GLOBAL_ELASTICITY,
        CONTROL_EFFECT,
        FIT_DIAGNOSTICS,
        HELDOUT_SCORES,
        CAUSAL_EVIDENCE,
        NUTS_CROSS_CHECK,
        PRICE_SCENARIOS,
        PROMOTION_ELASTICITY,
        ELASTICITY_HISTORY,
        CHECK_RESULTS,
        weekly_sales(controls).published(),
        SUSPECT_SALES,
        REJECTED_SALES,
        REFITS.published(),
    )
