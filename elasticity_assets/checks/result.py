"""What every check result is made with: one verdict a category, and a metadata row that shows it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

CATEGORIES = "categories"
"""Metadata entry of checks over categories."""

_TYPES = {bool: "bool", int: "int", float: "float", str: "string"}


def by_category(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dg.TableMetadataValue]:
    """Show one row a category, also where there is none, so that the check is known for one of categories.

    Parameters
    ----------
    rows : mapping of category to mapping of column to value
        Of every category that was looked at: `passed`, facts, and `message`, empty where it passed.
    """
    first = {"category": "", **next(iter(rows.values()), {})}
    columns = [dg.TableColumn(name, _TYPES[type(value)]) for name, value in first.items()]
    records = [dg.TableRecord({"category": category, **row}) for category, row in rows.items()]
    return {CATEGORIES: dg.MetadataValue.table(records, dg.TableSchema(columns))}


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> dg.TableMetadataValue:
    """Show texts as a table: in Markdown, a product's code could be an image that the browser fetches."""
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in columns]))


def result_by_category(
    name: str,
    rows: Mapping[str, Mapping[str, Any]],
    trouble: str,
    well: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
) -> dg.AssetCheckResult:
    """Say in which categories a check failed; it passes where it passed in all.

    Parameters
    ----------
    name : str
        Of the check.
    rows : mapping of category to mapping of column to value
        Of every category that was looked at, and of no other: whether it `passed`, and the facts behind it. All
        have the same columns.
    trouble, well : str
        What to say before the names of the categories that failed, and where there are none.
    severity : AssetCheckSeverity
    """
    failed = [category for category, row in rows.items() if not row["passed"]]
    return dg.AssetCheckResult(
        check_name=name,
        passed=not failed,
        severity=severity,
        description=f"{trouble}: {', '.join(map(repr, failed))}" if failed else well,
        metadata=by_category({category: _with_message(row, trouble) for category, row in rows.items()}),
    )


def result_of_failures(
    name: str,
    categories: Mapping[str, str],
    trouble: str,
    well: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
) -> dg.AssetCheckResult:
    """Say which categories failed, and why.

    Parameters
    ----------
    name : str
        Of the check.
    categories : mapping of category to str
        Of every category that was looked at: the reason of its failure, empty where it did not fail.
    trouble, well : str
        As of `result_by_category`.
    severity : AssetCheckSeverity
    """
    rows = {category: {"passed": not why, "message": why} for category, why in categories.items()}
    return result_by_category(name, rows, trouble, well, severity)


def _with_message(row: Mapping[str, Any], trouble: str) -> dict[str, Any]:
    """Add, where a category failed, what is to be said of it alone."""
    facts = ", ".join(f"{name} {value}" for name, value in row.items() if name != "passed")
    return {**row, "message": row.get("message", "" if row["passed"] else f"{trouble}: {facts}")}
