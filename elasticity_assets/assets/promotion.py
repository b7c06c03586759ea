"""promotion_elasticity: two slopes a product, for the regular price and for promotions' discounts."""

import contextlib
from collections.abc import Iterator

import dagster as dg

from elasticity_assets import elasticity_tables as rows_of
from elasticity_assets.assets.elasticity import GROUP, product_elasticity, replace_categories
from elasticity_assets.assets.metadata import OWNERS, column_schema
from elasticity_assets.checks import fit as checks
from elasticity_assets.fits import check_finite_slopes, fits_in, reason, unpack_fit
from elasticity_assets.inference.arrays import unpack
from elasticity_assets.inference.panel import Panel
from elasticity_assets.partitions import category_of
from elasticity_assets.resources.array_store import StoredArrays
from elasticity_assets.resources.svi_fit import SviFit, TwoSlopesTask
from elasticity_assets.resources.warehouse import Warehouse
from elasticity_assets.settings import Settings
from elasticity_assets.tables import PRODUCT_ELASTICITY, PROMOTION_ELASTICITY


@dg.asset(
    group_name=GROUP,
    kinds={"jax", "duckdb"},
    owners=OWNERS,
    ins={
        name: dg.AssetIn(partition_mapping=dg.AllPartitionMapping())
        for name in ("model_input", "category_posterior")
    },
    pool="gpu",
    deps=[dg.AssetDep(product_elasticity, partition_mapping=dg.AllPartitionMapping())],
    check_specs=checks.PROMOTION_ELASTICITY,
    metadata=column_schema(PROMOTION_ELASTICITY),
)
def promotion_elasticity(
    context: dg.AssetExecutionContext,
    model_input: StoredArrays,
    category_posterior: StoredArrays,
    svi_fit: SviFit,
    settings: dg.ResourceParam[Settings],
    warehouse: Warehouse,
) -> dg.MaterializeResult:
    """Tell how units respond to the regular price from how they respond to a promotion, where files give both.

    Belongs to the fits that product_elasticity shows: a category whose fit was kept, or failed, keeps its rows.
    """
    shown, present = warehouse.in_transaction(
        lambda connection: [
            fits_in(connection, table) for table in (PRODUCT_ELASTICITY, PROMOTION_ELASTICITY)
        ]
    )
    kept: list[str] = []
    without: list[str] = []
    failed: dict[str, str] = {}

    def to_fit() -> Iterator[TwoSlopesTask]:
        for key in model_input:
            category = category_of(key)
            panel = unpack(Panel, model_input[key])
            if not panel.has_regular_price or key not in category_posterior:
                without.append(key)
                continue
            if shown.get(category) and shown.get(category) == present.get(category):
                kept.append(key)
                continue
            posterior, record = unpack_fit(category_posterior[key])
            if shown.get(category) == {record.fit_id} and record.inputs_hash == svi_fit.inputs_hash(panel):
                yield TwoSlopesTask(key, panel, posterior, record.fit_id, record.fitted)
            else:
                failed[key] = "sales or settings changed since the fit in product_elasticity"

    parts = {}
    with contextlib.closing(svi_fit.fit_two_slopes_each(to_fit())) as fits:
        for task, done in fits:
            try:
                slopes = check_finite_slopes(done.result())
            except Exception as error:
                failed[task.key] = reason(error)
                context.log.exception(f"two slopes of category {task.panel.category!r} could not be fitted")
                continue
            parts[task.key] = rows_of.two_slopes_rows(
                slopes, task.fit_id, task.fitted_at, settings.fit.min_periods
            )
    rows = rows_of.concatenated(list(parts.values()), PROMOTION_ELASTICITY)
    keys = [*parts, *failed, *without]
    warehouse.in_transaction(
        lambda connection: replace_categories(context, connection, PROMOTION_ELASTICITY, rows, keys)
    )
    return dg.MaterializeResult(
        metadata={
            "categories fitted": len(parts),
            "kept: of the fit in product_elasticity": len(kept),
            "without regular prices, or a fit": len(without),
            "failed": len(failed),
            "rows written": len(rows),
        },
        check_results=[checks.two_slopes_fitted({category_of(key): why for key, why in failed.items()})],
    )
