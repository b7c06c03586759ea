"""product_elasticity, price_scenarios, category_elasticity: pooled posteriors as tables in the warehouse."""

from collections.abc import Iterable

import dagster as dg
import duckdb
import pandas as pd

from elasticity_assets.assets.metadata import OWNERS, column_schema, row_count, sample_rows, stored_rows
from elasticity_assets.assets.stored import pooled_fit, replace_categories
from elasticity_assets.automation.partitions import CATEGORIES, category_of
from elasticity_assets.checks import fit as checks
from elasticity_assets.fitting.array_store import Arrays, StoredArrays
from elasticity_assets.fitting.packing import unpack
from elasticity_assets.fitting.stored_fits import FitRecord, of_fit
from elasticity_assets.inference.hierarchy import Hierarchy
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.published import rows as rows_of
from elasticity_assets.published.price_scenarios import replace_scenarios
from elasticity_assets.report.files import LATEST
from elasticity_assets.settings import Settings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.fit_failures import fit_failures
from elasticity_assets.warehouse.schema import Table, qualified, replace_rows
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.warehouse.tables import (
    CATEGORY_ELASTICITY,
    CATEGORY_MOVE_ELASTICITY,
    CONTROL_EFFECT,
    FIT_DIAGNOSTICS,
    GLOBAL_ELASTICITY,
    HELDOUT_SCORES,
    PRICE_SCENARIOS,
    PRODUCT_ELASTICITY,
)

GROUP = "4_elasticity"
_INTERVAL = ("elasticity", "elasticity_q05", "elasticity_q95")
_PRODUCT_COLUMNS = (
    "product",
    "product_description",
    *_INTERVAL,
    "prob_elastic",
    "shrinkage",
    "revenue",
    "flag",
)
_CATEGORY_COLUMNS = ("category", *_INTERVAL, "product_spread", "n_products", "n_periods")
_SCENARIO_COLUMNS = (
    "category",
    "product",
    "price_change",
    "units_change",
    "units_change_q05",
    "units_change_q95",
    "revenue_change",
    "flag",
)


@dg.asset(
    group_name=GROUP,
    kinds={"duckdb"},
    owners=OWNERS,
    partitions_def=CATEGORIES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=checks.PRODUCT_ELASTICITY,
    metadata=column_schema(PRODUCT_ELASTICITY),
)
def product_elasticity(
    context: dg.AssetExecutionContext,
    category_posterior: StoredArrays,
    split_samples: StoredArrays,
    hierarchy: Arrays,
    settings: dg.ResourceParam[Settings],
    warehouse: Warehouse,
) -> dg.MaterializeResult:
    """Give every product its price elasticity, pooled within its category and over all categories.

    Writes product_elasticity and category_move_elasticity, which is empty without the category's price index.
    A category whose last fit failed keeps its last rows.
    """
    levels = unpack(Hierarchy, hierarchy)
    with warehouse.read() as connection:
        keys = _to_write(connection, category_posterior)
        categories = {"categories": [category_of(key) for key in keys]}
        sold = connection.execute(statement("product_sales"), categories).df()
    of_category = {name: rows.drop(columns="category") for name, rows in sold.groupby("category")}
    sales = {key: of_category.get(category_of(key), sold.iloc[:0].drop(columns="category")) for key in keys}
    parts, moves, page = [], [], dg.MetadataValue.path(str(settings.reports / LATEST))
    for key in keys:
        posterior, record = pooled_fit(category_posterior[key], hierarchy, levels)
        samples = of_fit(SplitSamples, split_samples, key, record)
        parts.append(rows_of.product_rows(posterior, record, sales[key], settings.fit.min_periods, samples))
        moves.append(rows_of.category_move_rows(posterior, record, sales[key]))
        best_sold = parts[-1].sort_values("revenue", ascending=False, kind="stable")
        context.add_asset_metadata(
            {
                **row_count(len(best_sold)),
                **sample_rows(PRODUCT_ELASTICITY, best_sold, _PRODUCT_COLUMNS),
                "charts of the last report": page,
            },
            partition_key=key,
        )
    rows = rows_of.concatenated(parts, PRODUCT_ELASTICITY)
    moved = rows_of.concatenated(moves, CATEGORY_MOVE_ELASTICITY)

    def replace(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
        written = {"categories": [category_of(key) for key in keys]}
        before = connection.execute(statement("elasticities_before"), written).df()
        replace_categories(context, connection, PRODUCT_ELASTICITY, rows, keys)
        replace_categories(context, connection, CATEGORY_MOVE_ELASTICITY, moved, keys)
        return before

    before = warehouse.in_transaction(replace)
    return dg.MaterializeResult(
        check_results=[
            checks.elasticities_are_negative(rows),
            checks.elasticities_keep_still(rows, before),
        ]
    )


@dg.asset(
    group_name=GROUP,
    kinds={"duckdb"},
    owners=OWNERS,
    deps=[dg.AssetDep(product_elasticity, partition_mapping=dg.AllPartitionMapping())],
    metadata=column_schema(PRICE_SCENARIOS),
)
def price_scenarios(warehouse: Warehouse) -> dg.MaterializeResult:
    """Work out what units and revenue of every product do if its price, or its category's, changes by up to 20%."""
    n_rows = warehouse.in_transaction(replace_scenarios)
    with warehouse.read() as connection:
        rows = stored_rows(connection, PRICE_SCENARIOS, _SCENARIO_COLUMNS)
    return dg.MaterializeResult(metadata={**row_count(n_rows), **rows})


@dg.asset(
    group_name=GROUP,
    kinds={"duckdb"},
    owners=OWNERS,
    ins={
        name: dg.AssetIn(partition_mapping=dg.AllPartitionMapping())
        for name in ("category_posterior", "heldout_evaluation", "split_samples")
    },
    metadata=column_schema(CATEGORY_ELASTICITY),
)
def category_elasticity(
    context: dg.AssetExecutionContext,
    category_posterior: StoredArrays,
    heldout_evaluation: StoredArrays,
    split_samples: StoredArrays,
    hierarchy: Arrays,
    warehouse: Warehouse,
) -> dg.MaterializeResult:
    """Give every category its elasticity, beside the global one, controls' effects and fits' diagnostics.

    Writes category_elasticity, global_elasticity, control_effect, fit_diagnostics and heldout_scores. A category whose
    last fit failed keeps its last rows.
    """
    levels, pooling = unpack(Hierarchy, hierarchy), unpack(FitRecord, hierarchy)
    with warehouse.read() as connection:
        keys = _to_write(connection, category_posterior)
    parts: dict[Table, list[pd.DataFrame]] = {
        CATEGORY_ELASTICITY: [],
        CONTROL_EFFECT: [],
        FIT_DIAGNOSTICS: [],
        HELDOUT_SCORES: [],
    }
    for key in keys:
        posterior, record = pooled_fit(category_posterior[key], hierarchy, levels)
        parts[CATEGORY_ELASTICITY].append(rows_of.category_row(posterior, record))
        parts[CONTROL_EFFECT].append(rows_of.control_rows(posterior))
        heldout = of_fit(HeldOut, heldout_evaluation, key, record)
        samples = of_fit(SplitSamples, split_samples, key, record)
        parts[FIT_DIAGNOSTICS].append(rows_of.diagnostics_row(posterior, record, heldout, samples))
        if heldout is not None:
            parts[HELDOUT_SCORES].append(rows_of.heldout_rows(heldout, record))

    def replace(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
        for table, rows in parts.items():
            replace_categories(context, connection, table, rows_of.concatenated(rows, table), keys)
        every = {"categories": [str(category) for category in levels.category]}
        select = statement("categories_rows", table=qualified(CATEGORY_ELASTICITY))
        categories = connection.execute(select, every).df()
        replace_rows(connection, GLOBAL_ELASTICITY, rows_of.global_row(levels, pooling, categories))
        return categories

    categories = warehouse.in_transaction(replace)
    rows = sample_rows(CATEGORY_ELASTICITY, categories, _CATEGORY_COLUMNS)
    return dg.MaterializeResult(metadata={**row_count(len(categories)), **rows})


def _to_write(connection: duckdb.DuckDBPyConnection, keys: Iterable[str]) -> list[str]:
    """Partition keys to write: all but those that keep their last rows because their fit failed.

    Rows that a killed run left of different fits are none to keep: both assets write the stored fit then.
    """
    found = connection.execute(statement("whole_categories")).fetchall()
    kept = {category for (category,) in found} & fit_failures(connection).keys()
    return [key for key in keys if category_of(key) not in kept]
