"""Which price each product should have, what uniform pricing costs where zones are known, and what to test first."""

from collections.abc import Iterator

import dagster as dg
import duckdb

from elasticity_assets.assets.column_lineage import own_column_lineage
from elasticity_assets.assets.elasticity import GROUP
from elasticity_assets.assets.metadata import OWNERS, column_schema, row_count, sample_rows, table_spec
from elasticity_assets.automation.names import own_key
from elasticity_assets.checks import pricing as checks
from elasticity_assets.ingestion.experiments import products_tested
from elasticity_assets.published.recommended_prices import read_products, recommended
from elasticity_assets.published.recommended_tests import NotPricedError, read_decided, recommended_tests_of
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
    RECOMMENDED_TESTS,
    UNIFORM_PRICING,
    ZONE_ELASTICITY,
)

_KNOWN = [
    *(
        dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping())
        for name in (PRODUCT_ELASTICITY.name, ZONE_ELASTICITY.name)
    ),
    *(
        dg.AssetDep(name)
        for name in (
            "weekly_sales",
            CROSS_ELASTICITY.name,
            CONTROL_EFFECT.name,
            CAUSAL_EVIDENCE.name,
            PROMOTION_ELASTICITY.name,
        )
    ),
]
"""What says something of products' prices."""
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
_UNIFORM_COLUMNS = ("category", "product", "gain_everywhere", "gain_by_zone", "cost", "cost_q05", "cost_q95")
_TEST_COLUMNS = (
    "rank",
    "category",
    "product",
    "price_low",
    "price_high",
    "periods",
    "elasticity",
    "elasticity_sd",
    "sd_after",
    "gain_per_period",
    "reason",
)


@dg.multi_asset(
    specs=[
        table_spec(RECOMMENDED_PRICES, GROUP, _KNOWN),
        table_spec(UNIFORM_PRICING, GROUP, [*_KNOWN, RECOMMENDED_PRICES.name]),
    ],
    check_specs=checks.RECOMMENDED_PRICES,
)
def recommended_prices(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], warehouse: Warehouse
) -> Iterator[dg.MaterializeResult]:
    """Recommend for every product the price that is best under the posterior and within the settings' rules.

    Everywhere and, where zones are known, in each of them. One transaction replaces the rows of both tables.
    """
    with warehouse.read() as connection:
        priced = read_products(connection)
    found = recommended(priced, settings.pricing, context.run.run_id)

    def write(connection: duckdb.DuckDBPyConnection) -> None:
        replace_rows(connection, RECOMMENDED_PRICES, found.rows)
        replace_rows(connection, UNIFORM_PRICING, found.uniform)

    warehouse.in_transaction(write)
    everywhere = found.rows[found.rows["zone"].isna()]
    actions = everywhere["action"].value_counts().to_dict()
    changed = everywhere[everywhere["action"] != "keep"]
    most = changed.sort_values("revenue_change", key=abs, ascending=False, kind="stable")
    yield dg.MaterializeResult(
        own_key(context, RECOMMENDED_PRICES.name),
        metadata={
            **row_count(len(found.rows)),
            **sample_rows(RECOMMENDED_PRICES, most, _COLUMNS),
            **{f"prices to {action}": int(actions.get(action, 0)) for action in ("raise", "lower", "keep")},
            **own_column_lineage(context, RECOMMENDED_PRICES.name),
        },
        check_results=[checks.pricing_rules_can_be_kept(found.colliding, found.too_slow, found.unknown)],
    )
    yield dg.MaterializeResult(
        own_key(context, UNIFORM_PRICING.name),
        metadata={
            **row_count(len(found.uniform)),
            **sample_rows(
                UNIFORM_PRICING,
                found.uniform.sort_values("cost", ascending=False, kind="stable"),
                _UNIFORM_COLUMNS,
            ),
            **own_column_lineage(context, UNIFORM_PRICING.name),
        },
    )


@dg.asset(
    group_name=GROUP,
    kinds={"duckdb"},
    owners=OWNERS,
    deps=[*_KNOWN, dg.AssetDep(RECOMMENDED_PRICES.name)],
    metadata=column_schema(RECOMMENDED_TESTS),
)
def recommended_tests(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], warehouse: Warehouse
) -> dg.MaterializeResult:
    """Rank the price tests that would tell elasticities better by what the better decisions are expected to gain."""
    with warehouse.read() as connection:
        try:
            decided = read_decided(connection)
        except NotPricedError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        tested = products_tested(connection, settings.experiments, settings.sales)
    rows = recommended_tests_of(decided, settings.pricing, context.run.run_id, tested)
    warehouse.in_transaction(lambda connection: replace_rows(connection, RECOMMENDED_TESTS, rows))
    return dg.MaterializeResult(
        metadata={
            **row_count(len(rows)),
            **sample_rows(RECOMMENDED_TESTS, rows, _TEST_COLUMNS),
            **own_column_lineage(context, RECOMMENDED_TESTS.name),
        }
    )
