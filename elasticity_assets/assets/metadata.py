"""Metadata that assets have in common: what a person sees of a table in the UI."""

from typing import Any

import dagster as dg

from elasticity_assets.schema import Table

OWNERS = ["team:pricing"]


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
