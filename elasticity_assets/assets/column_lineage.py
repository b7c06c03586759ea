"""Column lineage: which columns of which assets an asset's columns are computed from."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from elasticity_assets.automation.names import Names, own_key
from elasticity_assets.published.tables import published_tables
from elasticity_assets.warehouse.column_sources import column_sources
from elasticity_assets.warehouse.tables import NUTS_CROSS_CHECK

LINEAGE = "dagster/column_lineage"
PUBLISHED = "published_elasticity"


def with_column_lineage(spec: dg.AssetSpec, names: Names, controls: Sequence[str]) -> dg.AssetSpec:
    """Let the asset of a table say what its columns are computed from.

    Parameters
    ----------
    spec : AssetSpec
        Under the name that it is written with.
    names : Names
        What the assets upstream will be called.
    controls : sequence of str
        As the settings name them.
    """
    sources = sources_of(spec.key.path[-1], controls)
    if not any(sources.values()):
        return spec
    lineage = dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(names.key(table), name) for table, name in of]
            for column, of in sources.items()
            if of
        }
    )
    return spec.merge_attributes(metadata={LINEAGE: lineage})


def sources_of(asset: str, controls: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Give the sources of an asset's columns; those of the published file are called TABLE.COLUMN."""
    if asset != PUBLISHED:
        return column_sources(asset, controls)
    return {
        f"{table.name}.{column.name}": [(table.name, column.name)]
        for table in published_tables(controls)
        if column_sources(table.name) and table is not NUTS_CROSS_CHECK  # not made by a refit
        for column in table.columns
    }


def own_column_lineage(context: dg.AssetExecutionContext, name: str) -> dict[str, Any]:
    """Metadata of a materialization of one of the step's assets, where Dagster looks for lineage: as it is defined."""
    metadata = context.assets_def.metadata_by_key[own_key(context, name)]
    return {LINEAGE: metadata[LINEAGE]} if LINEAGE in metadata else {}
