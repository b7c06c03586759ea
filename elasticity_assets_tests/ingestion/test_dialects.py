"""`elasticity init` on files in drawn dialects: right, or open and said; never wrong in silence."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings

from elasticity_assets.ingestion import build_weekly_sales, take_in_files
from elasticity_assets.ingestion.initial_settings import propose_settings
from elasticity_assets.settings import load_settings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.dialects import Dialect, Truth, dialects, write_dialect

FEW, MANY = 20, 2_000
RIGHT_OR_OPEN, RIGHT = 0.95, 0.80


@dataclass(frozen=True)
class Outcome:
    """What became of one file: right, open, or wrong, and why."""

    kind: str
    why: str = ""


def outcome_of(dialect: Dialect, folder: Path) -> Outcome:
    """Propose settings for a file in a dialect, take it in by them, and compare with what was written."""
    truth = write_dialect(dialect, folder / "sales.csv")
    proposed = propose_settings([str(folder / "sales.csv")], folder)
    if proposed.open_keys:
        return Outcome("open", "; ".join(s for s in proposed.sentences if "OPEN" in s))
    (folder / "elasticity.yaml").write_text(proposed.text, encoding="utf-8")
    sales = load_settings(folder / "elasticity.yaml").sales
    with Warehouse(path=str(folder / "warehouse.duckdb"), wait_seconds=60).write() as connection:
        take_in_files(connection, sales)
        report = build_weekly_sales(connection, sales)
        rows = connection.execute("SELECT product, period_start, units, price FROM weekly_sales").fetchall()
    if not report.accounts_close or report.rows_in != truth.n_lines:
        return Outcome("wrong", f"{report.rows_in} of {truth.n_lines} lines are accounted for")
    return _compared(rows, truth, sales.columns.model_dump(exclude_none=True), sales.controls)


def _compared(rows: list[tuple], truth: Truth, columns: dict[str, str], controls: list[str]) -> Outcome:
    for product, start, units, price in rows:
        expected = truth.sales.get((product, start))
        if expected is None:
            return Outcome("wrong", f"{product} in {start} was never sold")
        if abs(units - expected[0]) > 0.01 or abs(price / expected[1] - 1.0) > 0.011:
            return Outcome("wrong", f"{product} in {start}: {units} at {price}, and not {expected}")
    if len(rows) < 0.7 * len(truth.sales):
        return Outcome("wrong", f"{len(rows)} product-periods of {len(truth.sales)}")
    other = {key: columns.get(key) for key, name in truth.columns.items() if columns.get(key) != name}
    if other or set(controls) != set(truth.controls):
        return Outcome("read, but", f"{other}, controls {controls}")
    return Outcome("right")


def test_files_in_many_dialects_are_read_right_or_left_open(at_length: bool) -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []

    @settings(
        max_examples=MANY if at_length else FEW,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(dialects())
    def classify(dialect: Dialect) -> None:
        with TemporaryDirectory() as folder:
            outcome = outcome_of(dialect, Path(folder))
        counts[outcome.kind] += 1
        if outcome.kind == "wrong":
            wrong.append(f"{outcome.why}: {dialect}")
        if log := os.environ.get("DIALECTS_LOG"):
            with Path(log).open("a") as stream:
                stream.write(f"{outcome.kind}\t{outcome.why}\t{dialect}\n")

    classify()
    n = counts.total()
    print(f"{n} files: {dict(counts)}")
    assert not wrong, wrong[:3]
    assert counts["right"] + counts["read, but"] + counts["open"] >= RIGHT_OR_OPEN * n
    assert counts["right"] >= RIGHT * n
