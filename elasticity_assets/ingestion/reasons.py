"""Why rows of the sales files cannot be used: how many, and an example of each reason, with its column."""

import json
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import duckdb

from elasticity_assets.settings import SalesSettings
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import cut, in_one_line

_ROLES = ("product", "category", "zone", "period", "units", "price", "discount", "randomized")
_LONGEST = 40  # characters of an example
_NO_PARTNER = ": no partner in "


def reasons_of_rows(
    connection: duckdb.DuckDBPyConnection, sales: SalesSettings, file_id: int | None = None
) -> tuple[dict[str, int], dict[str, str]]:
    """Count the rows that cannot be used, by reason, and give the first one's value of the column in question.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    sales : SalesSettings
    file_id : int, optional
        Of one file; by default of all.

    Returns
    -------
    counts : dict of str to int
        Reason -> rows.
    examples : dict of str to str
        Reason -> such as "column 'Preis', such as '1,97 €/kg'", only where a column is the reason; or "store 'S7'"
        where a table beside the sales lacks it.
    """
    rows = connection.execute(statement("reasons_of_files"), {"file_id": file_id}).fetchall()
    found = {reason: _example(reason, row, sales) for reason, _, row in rows}
    return {reason: n for reason, n, _ in rows}, {reason: text for reason, text in found.items() if text}


def _example(reason: str, row: str, sales: SalesSettings) -> str | None:
    values = json.loads(row)
    if not isinstance(values, dict):  # a malformed line
        return None
    folded = {column.strip().casefold(): value for column, value in reversed(values.items())}
    columns = sales.columns
    _, _, files = reason.partition(_NO_PARTNER)
    if files:
        keys = {
            on: folded.get((dict(columns).get(on) or on).strip().casefold()) for on in _keys(files, sales)
        }
        return ", ".join(f"{on} {cut(in_one_line(value), _LONGEST)!r}" for on, value in keys.items())
    role = next((role for role in _ROLES if role in reason.split()), None)
    name = (columns.price or columns.revenue) if role == "price" else role and getattr(columns, role)
    if name is None:
        return None
    value = values.get(name, folded.get(name.strip().casefold()))
    if value is None or not str(value).strip():
        return f"column {name!r}"
    return f"column {name!r}, such as {cut(in_one_line(value), _LONGEST)!r}"


def _keys(files: str, sales: SalesSettings) -> list[str]:
    """Find what the table of these files is joined by."""
    for join in sales.join:
        patterns = [Path(path).name for path in join.path]
        if all(any(fnmatch(file, pattern) for pattern in patterns) for file in files.split(", ")):
            return join.on
    return []


def no_partner(files: Iterable[str]) -> str:
    """Say in a reason that a row has no partner in a table beside the sales."""
    return _NO_PARTNER + ", ".join(Path(file).name for file in files)


def told(counts: dict[str, int], examples: dict[str, str]) -> str:
    """Tell the reasons in one line."""
    return ", ".join(
        f"{n} {reason}" + (f" ({examples[reason]})" if reason in examples else "")
        for reason, n in counts.items()
    )
