"""Metadata that assets have in common: what a person sees of a table or a category in the UI."""

import base64
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, cast

import dagster as dg
import duckdb
import pandas as pd
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle

from elasticity_assets.inference.posterior import Summary
from elasticity_assets.warehouse.schema import Table

OWNERS = ["team:pricing"]
MOST_ROWS = 20
"""Rows of a table that a materialization shows."""
_DECIMALS = 3


def model_graph() -> dg.MarkdownMetadataValue:
    """Show the model's graph, as docs/make_model_graph.py drew it."""
    image = files("elasticity_assets.report").joinpath("model_graph.svg").read_bytes()
    return dg.MarkdownMetadataValue(
        f"![the model](data:image/svg+xml;base64,{base64.b64encode(image).decode()})"
    )


def column_schema(table: Table) -> dict[str, Any]:
    """Metadata of a definition: the table's columns, types, and what they mean."""
    columns = [
        dg.TableColumn(
            column.name, column.type, column.comment, dg.TableColumnConstraints(nullable=column.nullable)
        )
        for column in table.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns), "dagster/table_name": table.name}


def table_spec(table: Table, group: str, deps: Sequence[str | dg.AssetDep]) -> dg.AssetSpec:
    """Describe the asset that is one of the tables of a step; `deps` are the assets that its rows are made of."""
    return dg.AssetSpec(
        table.name,
        deps=deps,
        description=table.comment,
        group_name=group,
        kinds={"duckdb"},
        owners=OWNERS,
        metadata=column_schema(table),
    )


def add_partition_metadata(
    context: dg.AssetExecutionContext,
    partition: str,
    metadata: Mapping[str, Any],
    asset: dg.AssetKey | None = None,
) -> None:
    """Add metadata to the materialization of one of a step's partitions, in the same time however many there are.

    Dagster's own `add_asset_metadata` reads all partitions, and copies what was added to them, each time.

    Parameters
    ----------
    context : AssetExecutionContext
    partition : str
        A key of those that the step makes.
    metadata : mapping
    asset : AssetKey, optional
        Where the step makes several.
    """
    added = context.get_step_execution_context()._metadata_accumulator.per_output_metadata
    of = AssetMetadataHandle(asset_key=asset or context.asset_key, partition_key=partition)
    cast(dict[Any, Mapping[str, Any]], added)[of] = {**added.get(of, {}), **metadata}


def row_count(n_rows: int) -> dict[str, Any]:
    """Metadata of a materialization: rows written."""
    return {"dagster/row_count": int(n_rows)}


def rounded(value: float) -> float:
    """Round a number to what a person reads of it."""
    return round(float(value), _DECIMALS)


def elasticity_text(summary: Summary) -> str:
    """Give one elasticity with its 90% interval; `summary` has shape (1,)."""
    return f"{summary.mean[0]:.2f} ({summary.q05[0]:.2f} to {summary.q95[0]:.2f})"


def sample_rows(table: Table, rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    """Metadata of a materialization: the first rows of the table it made, at most MOST_ROWS, rounded.

    Parameters
    ----------
    table : Table
    rows : DataFrame
        Its rows, those to see first.
    columns : sequence of str
        Which of the table's columns are shown.
    """
    described = {column.name: column for column in table.columns}
    schema = dg.TableSchema([dg.TableColumn(name, described[name].type) for name in columns])
    records = [
        dg.TableRecord({name: _shown(value) for name, value in zip(columns, values, strict=True)})
        for values in rows[list(columns)].head(MOST_ROWS).itertuples(index=False, name=None)
    ]
    return {"rows": dg.MetadataValue.table(records, schema)}


def made_rows(table: Table, rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    """Metadata of a materialization: how many rows of a table it made, and the first of them; as of `sample_rows`."""
    return {**row_count(len(rows)), **sample_rows(table, rows, columns)}


def stored_rows(
    connection: duckdb.DuckDBPyConnection, table: Table, columns: Sequence[str]
) -> dict[str, Any]:
    """Metadata of a materialization: how many rows a table has in the warehouse, and some of them."""
    stored = connection.table(table.name)
    (count,) = stored.count("*").fetchall()[0]
    return {**row_count(count), **sample_rows(table, stored.limit(MOST_ROWS).df(), columns)}


def _shown(value: Any) -> str | int | float | bool | None:
    """Give a table's value as metadata can hold it."""
    if pd.isna(value):
        return None
    if isinstance(value, float):
        return rounded(value)
    return value if isinstance(value, str | int | bool) else f"{value:%Y-%m-%d}"
