"""model_input: one padded panel a category."""

import dagster as dg

from elasticity_assets.assets.metadata import OWNERS
from elasticity_assets.assets.sales import weekly_sales
from elasticity_assets.checks import model_input as checks
from elasticity_assets.holiday_control import HOLIDAYS, holidays_in_periods
from elasticity_assets.inference.arrays import pack
from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX, category_price_index
from elasticity_assets.inference.panel import panel_from_sales, with_control
from elasticity_assets.ingestion import all_periods, missing_periods, read_category
from elasticity_assets.partitions import CATEGORIES, category_of
from elasticity_assets.resources.array_store import ArrayStore
from elasticity_assets.resources.warehouse import Warehouse
from elasticity_assets.settings import Settings


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
    facts = {}
    controls = settings.sales.controls
    # Poisson has no dispersion that could make up for what is counted.
    unit = 1.0 if settings.fit.likelihood == "poisson" or settings.fit.preset == "article" else None
    with warehouse.read() as connection:
        periods, absent = all_periods(connection), missing_periods(connection, settings.sales)
    of_period = None
    if settings.sales.holidays is not None:
        of_period = holidays_in_periods(settings.sales.holidays, periods, settings.sales.period)
    for key in context.partition_keys:
        with warehouse.read() as connection:
            sales = read_category(
                connection, category_of(key), controls, periods=periods, missing_periods=absent
            )
        panel = panel_from_sales(
            sales.category,
            sales.product,
            sales.period,
            sales.units,
            sales.price,
            sales.controls,
            periods=sales.periods,
            missing_periods=sales.missing_periods,
            regular_price=sales.regular_price if settings.sales.columns.regular_price else None,
            unit=unit,
        )
        if of_period is not None:
            panel = with_control(panel, HOLIDAYS, of_period)
        if settings.sales.category_price_index:
            panel = with_control(panel, CATEGORY_PRICE_INDEX, category_price_index(panel))
        file = array_store.write(context.asset_key, pack(panel), key)
        context.add_asset_metadata(
            {
                "products": panel.n_products,
                "periods": panel.n_periods,
                "observed product-periods": panel.n_obs,
                "padded shape": str(panel.units.shape),
                "controls": ", ".join(panel.control) or "none",
                "zero-truncated": panel.zero_truncated,
                "regular prices": panel.has_regular_price,
                "file": dg.MetadataValue.path(str(file)),
            },
            partition_key=key,
        )
        facts[panel.category] = checks.facts(panel)
    return dg.MaterializeResult(check_results=[checks.prices_vary(facts), checks.units_are_counts(facts)])
