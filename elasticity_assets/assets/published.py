"""published_elasticity: the DuckDB file that analysts query."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import duckdb

from elasticity_assets.assets.column_lineage import PUBLISHED, own_column_lineage
from elasticity_assets.assets.metadata import OWNERS, row_count
from elasticity_assets.assets.sales import weekly_sales
from elasticity_assets.assets.stored import failed_categories
from elasticity_assets.automation.partitions import category_of
from elasticity_assets.checks import published as checks
from elasticity_assets.checks.every_check import EVERY_CHECK
from elasticity_assets.fitting.array_store import StoredArrays
from elasticity_assets.fitting.stored_fits import fit_record
from elasticity_assets.published.publish import Refit, TablesDisagreeError, last_categories, publish
from elasticity_assets.settings import Settings
from elasticity_assets.warehouse.check_results import forget_other_checks, record, results_of_run
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import utc_now


@dg.asset(
    group_name="5_published",
    kinds={"duckdb"},
    owners=OWNERS,
    ins={"category_posterior": dg.AssetIn(partition_mapping=dg.AllPartitionMapping())},
    deps=[
        weekly_sales,
        *(
            dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping())
            for name in ("product_elasticity", "zone_elasticity", "category_move_elasticity")
        ),
        "cross_elasticity",
        "price_scenarios",
        "recommended_prices",
        "uniform_pricing",
        "recommended_tests",
        "promotion_elasticity",
        "category_elasticity",
        "global_elasticity",
        "control_effect",
        "fit_diagnostics",
        "heldout_scores",
        "causal_evidence",
    ],
    check_specs=checks.PUBLISHED_ELASTICITY,
)
def published_elasticity(
    context: dg.AssetExecutionContext,
    category_posterior: StoredArrays,
    settings: dg.ResourceParam[Settings],
    warehouse: Warehouse,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Publish the tables for analysts: a DuckDB file built aside, checked, and moved over the old one.

    Who has the old file open keeps reading it until all connections of that process are closed.
    """
    failed = failed_categories(context, warehouse)
    found = results_of_run(context.instance, context.run.run_id)

    def keep_results(connection: duckdb.DuckDBPyConnection) -> None:
        forget_other_checks(connection, EVERY_CHECK)
        record(connection, found)

    warehouse.in_transaction(keep_results)
    with warehouse.read() as connection:
        before = last_categories(connection)
    run = context.instance.get_run_record_by_id(context.run.run_id)
    began = run.start_time if run and run.start_time else datetime.now(UTC).timestamp()
    refit = Refit(
        refit_id=context.run.run_id,
        began=datetime.fromtimestamp(began, UTC),
        fitted={
            category_of(key): len(arrays["product"])
            for key, arrays in category_posterior.items()
            if fit_record(arrays)
        },
        failed=sorted(failed),
    )
    try:
        rows = publish(
            warehouse,
            settings.published,
            refit,
            controls=settings.sales.controls,
            keep=settings.keep,
            mode=settings.published_mode,
        )
    except TablesDisagreeError as error:
        yield checks.published_tables_agree(error.problems, {})
        raise dg.Failure(str(error), allow_retries=False) from None
    yield checks.published_tables_agree((), rows)
    yield checks.no_category_went_missing(before, [*refit.fitted, *failed])
    yield dg.MaterializeResult(
        metadata={
            "file": dg.MetadataValue.path(str(settings.published)),
            **row_count(rows["product_elasticity"]),
            **own_column_lineage(context, PUBLISHED),
            **{f"rows of {table}": n for table, n in rows.items()},
        },
    )


@dg.asset_check(
    asset=published_elasticity,
    description="No category's fit is older than schedule.max_age_days, and none has stopped to have sales.",
)
def every_category_is_recent(
    settings: dg.ResourceParam[Settings],
    unlocked_warehouse: Warehouse,  # keeps what was found, and waits for no run
) -> dg.AssetCheckResult:
    """Look at the published file, whether a refit has just made it or not."""
    if not settings.published.exists():
        return dg.AssetCheckResult(
            passed=False, severity=dg.AssetCheckSeverity.WARN, description="nothing is published yet"
        )
    with connect(settings.published, read_only=True) as connection:
        ages = connection.execute(statement("published_ages"), {"now": utc_now()}).fetchall()
    return checks.every_category_is_recent(ages, settings.schedule.max_age_days)
