"""Proposed settings tried on all rows, by the very code that a refit takes files in with."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from elasticity_assets.ingestion.accounts import SalesFileError, WeeklyReport
from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark
from elasticity_assets.ingestion.take_in import take_in_files
from elasticity_assets.ingestion.weekly import build_weekly_sales
from elasticity_assets.settings import SalesSettings, SettingsError
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import in_one_line

MOST_BYTES = 500 * 10**6
"""Of sales files, for a trial."""

UNREADABLE = {
    "period unreadable": "columns.period",
    "units unreadable": "columns.units",
    "price unreadable": "columns.price",
    "discount unreadable": "columns.discount",
    "discount not from 0% to 100%": "columns.discount",
}
"""Reasons of rejected rows that say a setting is wrong, and the setting."""


def try_settings(
    decisions: Sequence[Decision], files: Sequence[Path], folder: Path
) -> tuple[list[Decision], list[Remark]]:
    """Take the files in by the settings decided, into a warehouse that is thrown away.

    Parameters
    ----------
    decisions : sequence of Decision
        None of them open.
    files : sequence of Path
        The sales files.
    folder : Path
        Of the settings file, where the paths of joined tables start.

    Returns
    -------
    decisions : list of Decision
        The same; one is open if it does not do for the rows.
    remarks : list of Remark
        How many rows can be used, and why others cannot.
    """
    if sum(path.stat().st_size for path in files) > MOST_BYTES:
        return list(decisions), [Remark("Not tried on all rows, for the size of the files.")]
    try:
        sales = SalesSettings.model_validate(_nested(decisions, files, folder))
        with (
            TemporaryDirectory(prefix="elasticity_init.") as scratch,
            Warehouse(path=str(Path(scratch) / "warehouse.duckdb")).write() as connection,
        ):
            take_in_files(connection, sales)
            report = build_weekly_sales(connection, sales)
            n_changing, n_products = connection.execute(statement("products_with_price_changes")).fetchall()[
                0
            ]
    except (SalesFileError, SettingsError, ValueError) as error:
        return _reopened(
            decisions, "columns.period", f"tried on all rows, nothing can be used: {in_one_line(error)}"
        ), []
    return _judged(decisions, sales, report, n_changing, n_products)


def _judged(
    decisions: Sequence[Decision],
    sales: SalesSettings,
    report: WeeklyReport,
    n_changing: int,
    n_products: int,
) -> tuple[list[Decision], list[Remark]]:
    for reason, key in UNREADABLE.items():
        n = report.rejected.get(reason, 0)
        if n > sales.max_rejected * report.rows_in:
            why = (
                f"tried on all rows, {n:,} of {report.rows_in:,} have a {reason}; look at "
                "rejected_sales, or name another column"
            )
            return _reopened(decisions, key, why), []
    rejected = ", ".join(f"{n:,} {reason}" for reason, n in report.rejected.items())
    unusable = report.unusable
    remarks = [
        Remark(
            f"Tried on all {report.rows_in:,} rows: {report.rows_used:,} can be used"
            + (f"; rejected are {rejected}." if rejected else ".")
        )
    ]
    if unusable.share > sales.max_rejected:
        why = (
            f"{unusable.rows:,} rows with {unusable.units:,.6g} units cannot be used: the check "
            "few_rows_are_rejected will fail (sales.max_rejected)."
        )
        remarks.append(Remark(why))
    if n_products and n_changing < 0.2 * n_products:
        remarks.append(
            Remark(
                f"Prices changed in {n_changing:,} of {n_products:,} products: of the others no "
                "elasticity can be learnt."
            )
        )
    return list(decisions), remarks


def _reopened(decisions: Sequence[Decision], key: str, why: str) -> list[Decision]:
    keys = {d.key for d in decisions}
    if key not in keys:  # the revenue stands for the price
        key = "columns.revenue"
    return [Decision(key, None, why) if d.key == key else d for d in decisions]


def _nested(decisions: Sequence[Decision], files: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Write decisions as the section `sales`, with absolute paths."""
    section: dict[str, Any] = {"columns": {}}
    for decision in decisions:
        group, _, key = decision.key.rpartition(".")
        (section[group] if group else section)[key] = decision.value
    section["join"] = [{**one, "path": str(folder / one["path"])} for one in section.get("join", [])]
    return section | {"path": [str(path.absolute()) for path in files]}
