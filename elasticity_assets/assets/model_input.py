"""model_input: one padded panel a category."""

from collections.abc import Generator, Sequence
from contextlib import closing

import dagster as dg

from elasticity_assets.assets.metadata import OWNERS
from elasticity_assets.assets.sales import weekly_sales
from elasticity_assets.automation.partitions import CATEGORIES, category_of
from elasticity_assets.checks import model_input as checks
from elasticity_assets.fitting.array_store import ArrayStore
from elasticity_assets.fitting.stored_fits import pack_panel
from elasticity_assets.holiday_control import HOLIDAYS, holidays_in_periods
from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX, category_price_index
from elasticity_assets.inference.panel import Panel, panel_from_sales, with_control
from elasticity_assets.ingestion import all_periods, missing_periods, read_category
from elasticity_assets.settings import SalesSettings, Settings
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
    facts = {}
    # Poisson has no dispersion that could make up for what is counted.
    unit = 1.0 if settings.fit.likelihood == "poisson" or settings.fit.preset == "article" else None
    panels = _panels(settings.sales, warehouse, [category_of(key) for key in context.partition_keys], unit)
    with closing(panels):
        for key, panel in zip(context.partition_keys, panels, strict=True):
            file = array_store.write(context.asset_key, pack_panel(panel), key)
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


def _panels(
    sales: SalesSettings, warehouse: Warehouse, categories: Sequence[str], unit: float | None
) -> Generator[Panel, None, None]:
    """Lay out one category after the other; the warehouse is open for reading meanwhile."""
    with warehouse.read() as connection:
        periods, absent = all_periods(connection), missing_periods(connection, sales)
        holidays = None
        if sales.holidays is not None:
            holidays = holidays_in_periods(sales.holidays, periods, sales.period)
        for category in categories:
            found = read_category(
                connection, category, sales.controls, periods=periods, missing_periods=absent
            )
            panel = panel_from_sales(
                found.category,
                found.product,
                found.period,
                found.units,
                found.price,
                found.controls,
                periods=found.periods,
                missing_periods=found.missing_periods,
                regular_price=found.regular_price if sales.columns.regular_price else None,
                unit=unit,
            )
            if holidays is not None:
                panel = with_control(panel, HOLIDAYS, holidays)
            if sales.category_price_index:
                panel = with_control(panel, CATEGORY_PRICE_INDEX, category_price_index(panel))
            yield panel
