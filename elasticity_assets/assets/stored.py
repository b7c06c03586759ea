"""What several assets ask of what is stored: a pooled fit, a table's rows by category, which fits failed."""

from collections.abc import Iterable

import dagster as dg
import duckdb
import pandas as pd

from elasticity_assets.automation.partitions import category_of, partition_keys
from elasticity_assets.fitting.array_store import Arrays
from elasticity_assets.fitting.stored_fits import POOLED_FITS, FitRecord, Posterior, readable_fit
from elasticity_assets.inference.hierarchy import Hierarchy, pooled, pooled_zones
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.fit_failures import fit_failures
from elasticity_assets.warehouse.schema import Table, qualified, replace_rows
from elasticity_assets.warehouse.sql import statement


def pooled_fit(
    category: str, arrays: Arrays, hierarchy: Arrays, levels: Hierarchy
) -> tuple[Posterior, FitRecord]:
    """Rebuild one category's fit, pooled by what is stored of the hierarchy; `levels` is that, unpacked."""
    found = readable_fit(arrays)
    if found is None:
        raise dg.Failure(
            f"the stored fit of {category!r} is of another version; run elasticity refit",
            allow_retries=False,
        )
    posterior, record = found
    if record.fit_id not in hierarchy.get(POOLED_FITS, ()):
        raise dg.Failure(
            f"{category!r} was fitted after the pooling; pool again: materialize hierarchy",
            allow_retries=False,
        )
    if isinstance(posterior, ZonedPosterior):
        return pooled_zones(posterior, levels), record
    return pooled(posterior, levels), record


def replace_categories(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    rows: pd.DataFrame,
    keys: Iterable[str],
) -> None:
    """Replace the rows of these partitions, and drop those of categories that are partitions no more."""
    present = set(map(category_of, partition_keys(context.instance, warehouse)))
    found = connection.execute(statement("table_categories", table=qualified(table))).fetchall()
    gone = {category for (category,) in found} - present
    replace_rows(connection, table, rows, [*map(category_of, keys), *gone])


def failed_categories(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dict[str, str]:
    """Why the last fits of those categories failed that have sales and no newer fit, by category."""
    present = set(map(category_of, partition_keys(context.instance, warehouse)))
    with warehouse.read() as connection:
        found = fit_failures(connection)
    return {name: why for name, (_, why) in found.items() if name in present}
