"""raw_sales and weekly_sales: files in, product-periods and rejected rows out."""

from typing import Any

import dagster as dg

from elasticity_assets.assets.column_lineage import own_column_lineage
from elasticity_assets.assets.metadata import OWNERS, column_schema, rounded, row_count, stored_rows
from elasticity_assets.automation.partitions import keep_in_step
from elasticity_assets.checks import sales as checks
from elasticity_assets.checks.result import text_table
from elasticity_assets.ingestion import build_weekly_sales, categories, take_in_files
from elasticity_assets.settings import SalesSettings, Settings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.sales_tables import REJECTED_SALES, SUSPECT_SALES
from elasticity_assets.warehouse.sales_tables import weekly_sales as weekly_sales_table

GROUP = "1_sales"


@dg.asset(group_name=GROUP, kinds={"duckdb"}, owners=OWNERS, check_specs=checks.RAW_SALES)
def raw_sales(settings: dg.ResourceParam[Settings], warehouse: Warehouse) -> dg.MaterializeResult:
    """Take in the sales files' usable rows, as delivered; files that have not changed are not read again."""
    return _take_in(settings, warehouse)


def raw_sales_of(settings: SalesSettings) -> dg.AssetsDefinition:
    """Make raw_sales, after the asset that the settings name: of what it hands over, or of the table that it makes."""
    if not settings.asset:
        return raw_sales
    upstream = dg.AssetKey(settings.asset)
    if not settings.hands_over:
        return raw_sales.map_asset_specs(lambda spec: spec.replace_attributes(deps=[upstream]))

    @dg.asset(
        name=raw_sales.key.path[-1],
        group_name=GROUP,
        kinds={"duckdb"},
        owners=OWNERS,
        ins={"delivered": dg.AssetIn(upstream)},
        check_specs=checks.RAW_SALES,
        description="Take in the usable rows of an asset, as delivered; what has not changed is not read again.",
    )
    def of_asset(
        delivered: Any, settings: dg.ResourceParam[Settings], warehouse: Warehouse
    ) -> dg.MaterializeResult:
        return _take_in(settings, warehouse, delivered)

    return of_asset


def _take_in(settings: Settings, warehouse: Warehouse, frame: object = None) -> dg.MaterializeResult:
    with warehouse.write() as connection:
        report = take_in_files(connection, settings.sales, frame)
    files = {
        name: text_table(["file"], [[file] for file in getattr(report, name)])
        for name in ("new", "changed", "renamed", "vanished", "not_named", "still_written")
        if getattr(report, name)
    }
    return dg.MaterializeResult(
        metadata={
            **row_count(report.rows_usable),
            **files,
            "rows in": report.rows_in,
            "rows rejected": checks.by_reason(report.rejected, report.examples),
            **{f"rows without a partner in {files}": n for files, n in report.without_partner.items()},
        },
        check_results=[checks.files_are_there(report)],
    )


@dg.asset(
    group_name=GROUP, kinds={"duckdb"}, owners=OWNERS, deps=[raw_sales], check_specs=checks.WEEKLY_SALES
)
def weekly_sales(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], warehouse: Warehouse
) -> dg.MaterializeResult:
    """Add sales up to one row a product and period; rows left out go to `rejected_sales`, with the reason.

    What cannot be as it was delivered stays, and is named in `suspect_sales`.

    Brings the partitions in step with the categories that have sales.
    """
    table = weekly_sales_table(settings.sales.controls)
    with warehouse.write() as connection:
        report = build_weekly_sales(connection, settings.sales)
        names = categories(connection)
        rows = stored_rows(connection, table, [column.name for column in table.columns])
    added, deleted = keep_in_step(context.instance, warehouse, names)
    rejected = checks.few_rows_are_rejected(report, settings.sales.max_rejected)
    if not rejected.passed:
        context.log.warning(f"{rejected.description}; see rejected_sales, and sales.max_rejected")
    several_prices = report.randomized_at_several_prices
    if several_prices:
        context.log.warning(
            f"sales.columns.randomized: {several_prices:,} product-periods marked as random have several prices: "
            "they count as not random; draw one price a period, for all stores"
        )
    return dg.MaterializeResult(
        metadata={
            **column_schema(table),
            **own_column_lineage(context, table.name),
            **rows,
            "rows in": report.rows_in,
            "rows used": report.rows_used,
            "rows rejected": report.rows_rejected,
            f"{REJECTED_SALES.name} by reason": checks.by_reason(report.rejected, report.examples),
            "units in": rounded(report.units_in),
            "units used": rounded(report.units_used),
            "units rejected": rounded(report.units_rejected),
            "categories": report.n_categories,
            "products": report.n_products,
            "periods": f"{report.n_periods}, {report.first_period} to {report.last_period}",
            "absent product-periods mean": report.missing_periods,
            SUSPECT_SALES.name: sum(report.suspects.n_cells.values()),
            **({"marked as random at several prices": several_prices} if several_prices else {}),
            "new categories": ", ".join(added) or "none",
            "categories without sales any more": ", ".join(deleted) or "none",
        },
        check_results=[
            checks.rows_and_units_add_up(report),
            rejected,
            checks.weekly_sales_keep_their_contract(report),
            checks.products_keep_category(report),
            checks.product_codes_are_whole(report),
            checks.prices_are_in_one_currency(report),
            checks.no_suspect_prices(report.suspects),
            checks.no_suspect_units(report.suspects),
        ],
    )
