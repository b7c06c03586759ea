"""Which categories' last fits failed, when and why."""

from collections.abc import Mapping
from datetime import datetime

import duckdb
import pandas as pd

from elasticity_assets.warehouse.schema import replace_rows
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.warehouse.tables import FIT_FAILURES
from elasticity_assets.words import utc_now


def record_outcomes(
    connection: duckdb.DuckDBPyConnection, fitted: list[str], failed: Mapping[str, str]
) -> None:
    """Remember which categories' last fits failed, and forget the failures of those fitted.

    Parameters
    ----------
    connection : duckdb connection
        For writing.
    fitted : list of str
        Categories that were fitted, or whose last fit is of today's sales and settings.
    failed : mapping of str to str
        Reasons by category.
    """
    rows = pd.DataFrame(
        {"category": list(failed), "failed_at": utc_now(), "reason": list(failed.values())},
    )
    replace_rows(connection, FIT_FAILURES, rows, [*fitted, *failed])


def fit_failures(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[datetime, str]]:
    """When and why the last fit of each failed category failed."""
    found = connection.execute(statement("fit_failures")).fetchall()
    return {category: (failed_at, reason) for category, failed_at, reason in found}
