"""model_input: one padded panel a category."""

from contextlib import closing

import dagster as dg
from upath import UPath

from elasticity_assets.assets.metadata import OWNERS, add_partition_metadata
from elasticity_assets.assets.sales import weekly_sales
from elasticity_assets.automation.partitions import CATEGORIES, category_of, gone_since
from elasticity_assets.checks import model_input as checks
from elasticity_assets.fitting.array_store import ArrayStore
from elasticity_assets.fitting.stored_fits import pack_panels
from elasticity_assets.fitting.threads import run_each
from elasticity_assets.inference.price_lags import bearable_lags
from elasticity_assets.ingestion.panels import CategoryPanels, category_panels
from elasticity_assets.settings import Settings
from elasticity_assets.warehouse.file import Warehouse


@dg.asset(
    group_name="2_fit",
    kinds={"numpy"},
    owners=OWNERS,
    io_manager_key="array_store",
    partitions_def=CATEGORIES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[weekly_sales],
    check_specs=checks.MODEL_INPUT,
)
def model_input(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    warehouse: Warehouse,
    array_store: dg.ResourceParam[ArrayStore],
) -> dg.MaterializeResult:
    """Lay each category's sales out as a padded panel, products down and periods across, for the engines."""
    if gone := gone_since(context):
        context.log.warning(
            f"asked for, and without sales since: {', '.join(map(repr, gone))}; the others go on"
        )
    facts = {}
    categories = [category_of(key) for key in context.partition_keys]

    def write(task: tuple[str, CategoryPanels]) -> UPath:
        key, of_category = task
        return array_store.write(context.asset_key, pack_panels(of_category), key)

    with (
        warehouse.read() as connection,
        closing(
            category_panels(connection, settings.sales, settings.fit, categories, settings.experiments)
        ) as panels,
        # One category is written while the next is read.
        closing(run_each(write, zip(context.partition_keys, panels, strict=True), 1)) as written,
    ):
        for (key, of_category), file in written:
            panel, zoned = of_category.panel, of_category.zoned
            add_partition_metadata(
                context,
                key,
                {
                    "products": panel.n_products,
                    "periods": panel.n_periods,
                    "observed product-periods": panel.n_obs,
                    "padded shape": str(panel.units.shape),
                    "controls": ", ".join(panel.control) or "none",
                    "zero-truncated": panel.zero_truncated,
                    "regular prices": panel.has_regular_price,
                    "products with results from elsewhere": int((panel.experiments()[:, 1] > 0).sum()),
                    "products in zones": 0 if zoned is None else zoned.n_rows,
                    "file": dg.MetadataValue.path(str(file.result())),
                },
            )
            facts[panel.category] = checks.facts(of_category)
    if settings.fit.preset != "article" and facts:
        lags = bearable_lags(settings.fit.lags, panel.n_periods)  # of every category the same periods
        if lags < settings.fit.lags:
            context.log.info(
                f"fit.lags: {lags} instead of {settings.fit.lags}, as {panel.n_periods} periods bear no more"
            )
    return dg.MaterializeResult(
        check_results=[
            checks.prices_vary(facts),
            checks.units_are_counts(facts),
            checks.zones_leave_nothing_out(facts),
        ]
    )
