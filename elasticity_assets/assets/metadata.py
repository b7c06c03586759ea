"""Metadata that assets have in common: what a person sees of a table or a category in the UI."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from elasticity_assets.warehouse.schema import Table
from elasticity_assets.words import reason

OWNERS = ["team:pricing"]
# A picture takes as long as a small category's fit, and the run's log holds it.
MOST_CATEGORIES_PICTURED = 50


def pictures(
    context: dg.AssetExecutionContext, n_categories: int, draw: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Metadata of one category: its pictures, unless the run is over too many categories to draw them all.

    A picture that cannot be drawn is none of the numbers' account: the run goes on.
    """
    if n_categories > MOST_CATEGORIES_PICTURED:
        return {
            "pictures": f"none in a run of more than {MOST_CATEGORIES_PICTURED} categories; materialize this one"
        }
    try:
        return draw()
    except Exception as error:
        context.log.exception("a category's pictures could not be drawn")
        return {"pictures": f"could not be drawn: {reason(error)}"}


def column_schema(table: Table) -> dict[str, Any]:
    """Metadata of a definition: the table's columns, types, and what they mean."""
    columns = [
        dg.TableColumn(
            column.name, column.type, column.comment, dg.TableColumnConstraints(nullable=column.nullable)
        )
        for column in table.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns), "dagster/table_name": table.name}


def row_count(n_rows: int) -> dict[str, Any]:
    """Metadata of a materialization: rows written."""
    return {"dagster/row_count": int(n_rows)}
