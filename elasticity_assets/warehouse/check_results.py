"""The last result of each check, of every category that it looked at: what `elasticity status` shows.

A check that looked at one category says nothing of the others, whose last results stay. Written when a run ends,
whether it succeeded or not, wherever it was started.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

import dagster as dg
import duckdb

from elasticity_assets.warehouse.sql import statement
from elasticity_assets.warehouse.tables import CHECK_RESULTS
from elasticity_assets.words import in_one_line


@dataclass(frozen=True)
class CheckResult:
    """One row of `check_results`."""

    check: str
    asset: str
    category: str
    passed: bool
    severity: str
    message: str
    evaluated_at: datetime
    refit_id: str


def results_of_run(instance: dg.DagsterInstance, run_id: str) -> list[CheckResult]:
    """Read what the checks of a run have found so far, from its events; of one made twice, the last result."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    results = [result for entry in entries for result in _results(entry)]
    return list({(result.check, result.asset, result.category): result for result in results}.values())


def _results(entry: dg.EventLogEntry) -> Iterable[CheckResult]:
    if entry.dagster_event is None:
        return
    found = entry.dagster_event.asset_check_evaluation_data
    severity = "error" if found.severity == dg.AssetCheckSeverity.ERROR else "warning"
    at = datetime.fromtimestamp(int(entry.timestamp), UTC).replace(tzinfo=None)
    table = found.metadata.get("categories")
    if isinstance(table, dg.TableMetadataValue):
        verdicts = [
            (record.data["category"], record.data["passed"], record.data["message"])
            for record in table.records
        ]
    else:
        verdicts = [("", found.passed, found.description or "")]
    for category, passed, message in verdicts:
        yield CheckResult(
            found.check_name,
            found.asset_key.path[-1],
            str(category),
            bool(passed),
            severity,
            in_one_line(message),
            at,
            entry.run_id,
        )


def record(connection: duckdb.DuckDBPyConnection, results: Sequence[CheckResult]) -> None:
    """Replace the last results of these checks and categories, and drop those of categories without sales.

    Parameters
    ----------
    connection : duckdb connection
        For writing, in a transaction.
    results : sequence of CheckResult
        Each check and category once.
    """
    rows = [asdict(result) for result in results]
    columns = {field.name: [row[field.name] for row in rows] for field in fields(CheckResult)}
    key = {name: columns[name] for name in CHECK_RESULTS.key}
    connection.execute(statement("forget_check_results"), key)
    connection.execute(statement("insert_check_results"), columns)


def forget_other_checks(connection: duckdb.DuckDBPyConnection, known: Sequence[tuple[str, str]]) -> None:
    """Drop results of checks that are made no more: renamed, or of an asset that was.

    Parameters
    ----------
    connection : duckdb connection
        For writing.
    known : sequence of (str, str)
        Names and assets of all checks that are made.
    """
    checks, assets = zip(*known, strict=True)
    connection.execute(statement("forget_other_checks"), {"checks": [*checks], "assets": [*assets]})
