"""promotion_elasticity: two slopes a product, for the regular price and for promotions' discounts."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from elasticity_assets.assets.column_lineage import own_column_lineage
from elasticity_assets.assets.elasticity import GROUP
from elasticity_assets.assets.metadata import OWNERS, column_schema, stored_rows
from elasticity_assets.assets.stored import replace_categories
from elasticity_assets.automation.partitions import category_of, partition_key
from elasticity_assets.checks import fit as checks
from elasticity_assets.fitting.array_store import StoredArrays
from elasticity_assets.fitting.fitter import FittedCategory, Fitter
from elasticity_assets.fitting.side_by_side import work_on_each
from elasticity_assets.fitting.stored_fits import fits_in, panel_hash, readable_fit, unpack_panels
from elasticity_assets.inference.posterior import TwoSlopes
from elasticity_assets.published import rows as rows_of
from elasticity_assets.settings import Settings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.tables import PRODUCT_ELASTICITY, PROMOTION_ELASTICITY
from elasticity_assets.words import reason

_COLUMNS = (
    "category",
    "product",
    "regular_elasticity",
    "regular_elasticity_q05",
    "regular_elasticity_q95",
    "promotion_elasticity",
    "promotion_elasticity_q05",
    "promotion_elasticity_q95",
    "flag",
)


@dg.asset(
    group_name=GROUP,
    kinds={"jax", "duckdb"},
    owners=OWNERS,
    ins={
        name: dg.AssetIn(partition_mapping=dg.AllPartitionMapping())
        for name in ("model_input", "category_posterior")
    },
    pool="gpu",
    deps=[dg.AssetDep(PRODUCT_ELASTICITY.name, partition_mapping=dg.AllPartitionMapping())],
    check_specs=checks.PROMOTION_ELASTICITY,
    metadata=column_schema(PROMOTION_ELASTICITY),
)
def promotion_elasticity(
    context: dg.AssetExecutionContext,
    model_input: StoredArrays,
    category_posterior: StoredArrays,
    svi_fit: dg.ResourceParam[Fitter],
    settings: dg.ResourceParam[Settings],
    warehouse: Warehouse,
) -> dg.MaterializeResult:
    """Tell how units respond to the regular price from how they respond to a promotion, where files give both.

    Belongs to the fits that product_elasticity shows: a category whose fit was kept, or failed, keeps its rows.
    Looks at all categories, also in a run over some of them.
    """
    with warehouse.read() as connection:
        shown, present = (fits_in(connection, table) for table in (PRODUCT_ELASTICITY, PROMOTION_ELASTICITY))
    kept: list[str] = []
    without_fit: list[str] = []
    without_prices: list[str] = []
    by_zone: list[str] = []
    failed: dict[str, str] = {}

    parts: dict[str, pd.DataFrame] = {}

    def to_fit() -> Iterator[FittedCategory]:
        for key in model_input:
            category = category_of(key)
            if shown.get(category) and shown.get(category) == present.get(category):
                kept.append(key)
                continue
            try:
                given = model_input[key]
                panels, inputs_hash = unpack_panels(given), svi_fit.inputs_hash(panel_hash(given))
                fit = readable_fit(category_posterior.get(key, {}))
            except ValueError as error:  # stored by another version, or unreadable
                failed[category] = reason(error)
                continue
            if panels.zoned is not None:
                by_zone.append(key)
            elif not panels.panel.has_regular_price:
                without_prices.append(key)
            elif fit is None:
                without_fit.append(key)
            elif shown.get(category) == {fit[1].fit_id} and fit[1].inputs_hash == inputs_hash:
                yield FittedCategory(key, panels.panel, *fit)
            else:
                failed[category] = "sales or settings changed since the fit in product_elasticity"

    def keep(task: FittedCategory, slopes: TwoSlopes) -> None:
        record = task.record
        parts[task.key] = rows_of.two_slopes_rows(
            slopes, record.fit_id, record.fitted, settings.fit.min_periods
        )

    work_on_each(svi_fit, svi_fit.fit_two_slopes, to_fit(), keep, failed)
    rows = rows_of.concatenated(list(parts.values()), PROMOTION_ELASTICITY)
    keys = [*parts, *map(partition_key, failed), *without_fit, *without_prices, *by_zone]

    def replace(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
        replace_categories(context, warehouse, connection, PROMOTION_ELASTICITY, rows, keys)
        return stored_rows(connection, PROMOTION_ELASTICITY, _COLUMNS)

    return dg.MaterializeResult(
        metadata={
            **warehouse.in_transaction(replace),
            **own_column_lineage(context, PROMOTION_ELASTICITY.name),
            "categories fitted": len(parts),
            "kept: of the fit in product_elasticity": len(kept),
            "without regular prices": len(without_prices),
            "left out, as fitted by zone": len(by_zone),
            "without a fit": len(without_fit),
            "failed": len(failed),
        },
        check_results=[
            checks.two_slopes_fitted(
                map(category_of, [*parts, *kept, *without_fit, *without_prices, *by_zone]), failed
            )
        ],
    )
