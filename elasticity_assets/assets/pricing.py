"""recommended_prices: which price each product should have, by what the elasticities say and the settings ask for."""

import dagster as dg

from elasticity_assets.assets.column_lineage import own_column_lineage
from elasticity_assets.assets.elasticity import GROUP
from elasticity_assets.assets.metadata import OWNERS, column_schema, row_count, sample_rows
from elasticity_assets.checks import pricing as checks
from elasticity_assets.published.recommended_prices import read_products, recommended
from elasticity_assets.settings import Settings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.schema import replace_rows
from elasticity_assets.warehouse.tables import (
    CAUSAL_EVIDENCE,
    CONTROL_EFFECT,
    CROSS_ELASTICITY,
    PRODUCT_ELASTICITY,
    PROMOTION_ELASTICITY,
    RECOMMENDED_PRICES,
)

_COLUMNS = (
    "category",
    "product",
    "price_now",
    "price_recommended",
    "action",
    "units_change",
    "revenue_change",
    "profit_change",
    "prob_gain",
    "reason",
)


@dg.asset(
    group_name=GROUP,
    kinds={"duckdb"},
    owners=OWNERS,
    deps=[
        "weekly_sales",
        dg.AssetDep(PRODUCT_ELASTICITY.name, partition_mapping=dg.AllPartitionMapping()),
        CROSS_ELASTICITY.name,
        CONTROL_EFFECT.name,
        CAUSAL_EVIDENCE.name,
        PROMOTION_ELASTICITY.name,
    ],
    check_specs=checks.RECOMMENDED_PRICES,
    metadata=column_schema(RECOMMENDED_PRICES),
)
def recommended_prices(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], warehouse: Warehouse
) -> dg.MaterializeResult:
    """Recommend for every product the price that is best under the posterior and within the settings' rules."""
    with warehouse.read() as connection:
        priced = read_products(connection)
    found = recommended(priced, settings.pricing, context.run.run_id)
    warehouse.in_transaction(lambda connection: replace_rows(connection, RECOMMENDED_PRICES, found.rows))
    actions = found.rows["action"].value_counts().to_dict()
    changed = found.rows[found.rows["action"] != "keep"]
    most = changed.sort_values("revenue_change", key=abs, ascending=False, kind="stable")
    return dg.MaterializeResult(
        metadata={
            **row_count(len(found.rows)),
            **sample_rows(RECOMMENDED_PRICES, most, _COLUMNS),
            **{f"prices to {action}": int(actions.get(action, 0)) for action in ("raise", "lower", "keep")},
            **own_column_lineage(context, RECOMMENDED_PRICES.name),
        },
        check_results=[checks.pricing_rules_can_be_kept(found.colliding, found.too_slow, found.unknown)],
    )
