"""One metadata table for checks over several categories: a row each."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

_TYPES = {bool: "bool", int: "int", float: "float", str: "string"}


def by_category(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dg.TableMetadataValue]:
    """Show one row a category.

    Parameters
    ----------
    rows : mapping of category to mapping of column to value
        Every category has the same columns.
    """
    if not rows:
        return {}
    first = {"category": "", **next(iter(rows.values()))}
    columns = [dg.TableColumn(name, _TYPES[type(value)]) for name, value in first.items()]
    records = [dg.TableRecord({"category": category, **row}) for category, row in rows.items()]
    return {"categories": dg.MetadataValue.table(records, dg.TableSchema(columns))}
