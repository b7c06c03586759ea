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


def nothing_failed(
    name: str,
    failed: Mapping[str, str],
    trouble: str,
    well: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
) -> dg.AssetCheckResult:
    """Say which categories failed, and why.

    Parameters
    ----------
    name : str
        Of the check.
    failed : mapping of category to str
        Reasons.
    trouble, well : str
        What to say before the categories' names, and where there are none.
    severity : AssetCheckSeverity
    """
    return dg.AssetCheckResult(
        check_name=name,
        passed=not failed,
        severity=severity,
        description=f"{trouble}: {', '.join(map(repr, failed))}" if failed else well,
        metadata=by_category({category: {"reason": reason} for category, reason in failed.items()}),
    )
