"""Weeks of refits: once old runs are deleted, what is on disk stands still, and so does the memory of a process."""

import gc
import resource
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml
from dagster._core.instance.ref import InstanceRef

from elasticity_assets.inference.simulate import Simulation, simulate
from elasticity_assets_tests.support.commands import Command
from elasticity_assets_tests.support.projects import make_project, settings_dict

pytestmark = pytest.mark.slow

FIRST_WEEKS = 20  # delivered before the first refit
KEEP_DAYS, KEEP = 14, 3
SECONDS = 3600
PLACES = {
    ".dagster": [".dagster"],
    "warehouse": ["data/warehouse.duckdb", "data/warehouse.kept.duckdb"],
    "arrays": ["data/warehouse.arrays"],
    "published": ["data/elasticity.duckdb", "data/elasticity.refits"],
    "reports": ["data/reports"],
    "compiled": ["data/compiled"],
}
MOST_GROWTH = {
    ".dagster": 0.2,
    "warehouse": 1.0,
    "arrays": 0.2,
    "published": 3.0,
    "reports": 0.2,
    "memory": 20.0,
}
"""Megabytes over all weeks: those of DuckDB's blocks that a kilobyte of sales a week and some history fill."""

MOST_EVENTS = 1.02
"""Rows of Dagster's tables, over those of the first weeks whose old runs are deleted."""
MOST_IN_ONE_PROCESS = 10.0
"""Megabytes, over fifteen refits: their events, kept in memory, would be 20."""


def sales_by_week(weeks: int) -> list[pd.DataFrame]:
    columns, _ = simulate(Simulation(products=8, weeks=weeks, categories=2), seed=0)
    sales = pd.DataFrame(columns)
    return [of_week.assign(regular_price=of_week["price"]) for _, of_week in sales.groupby("week")]


def megabytes(folder: Path) -> dict[str, float]:
    def size(place: Path) -> int:
        return (
            sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
            if place.is_dir()
            else place.stat().st_size
        )

    return {name: sum(size(folder / place) for place in places) / 1e6 for name, places in PLACES.items()}


def dagsters_rows(folder: Path) -> Counter[str]:
    """Rows of each table of Dagster's files, and how many files there are."""
    rows: Counter[str] = Counter()
    for file in (folder / ".dagster").rglob("*.db"):
        rows["files"] += 1
        with closing(sqlite3.connect(file)) as opened:
            for (table,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                rows[table] += opened.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
    return rows


def let_a_week_pass(folder: Path) -> None:
    """Make all runs a week older: when they were made is what the retention looks at."""
    with closing(sqlite3.connect(folder / ".dagster/history/runs.db")) as runs:
        runs.execute(
            "UPDATE runs SET create_timestamp = strftime('%Y-%m-%d %H:%M:%f000', create_timestamp, '-7 days')"
        )
        runs.commit()


@pytest.mark.usefixtures("commands_as_users_start_them")
def test_what_is_kept_stands_still(tmp_path: Path, at_length: bool) -> None:
    weeks = 52 if at_length else 7
    folder = tmp_path / "project"
    (folder / "sales").mkdir(parents=True)
    settings = settings_dict() | {"keep": KEEP, "schedule": {"keep_runs_days": KEEP_DAYS}}
    (folder / "elasticity.yaml").write_text(yaml.safe_dump(settings))
    delivered = sales_by_week(FIRST_WEEKS + weeks - 1)
    pd.concat(delivered[:FIRST_WEEKS]).to_csv(folder / "sales/first.csv", index=False)
    sizes, rows = [], []
    for week in range(weeks):
        if week:
            delivered[FIRST_WEEKS + week - 1].to_csv(folder / f"sales/week_{week:02}.csv", index=False)
            let_a_week_pass(folder)
        refit = Command(folder, ["refit"])
        assert refit.wait(SECONDS) == 0, refit.errors
        sizes.append(megabytes(folder) | {"memory": refit.megabytes})
        rows.append(dagsters_rows(folder))
        print(week, {name: round(size, 2) for name, size in sizes[-1].items()}, flush=True)
    print(dict(rows[-1]))
    settled = KEEP_DAYS // 7 + 2
    # A run has an event more or less, as what it did took longer or not.
    most = {table: max(found[table] for found in rows[settled:][:3]) for table in rows[-1]}
    assert all(found <= MOST_EVENTS * most[table] for table, found in rows[-1].items()), (most, rows[-1])
    for name, most in MOST_GROWTH.items():
        # The least of three: now and then a run compiles, or a file has a block more.
        first, last = (min(size[name] for size in of) for of in (sizes[settled:][:3], sizes[-3:]))
        assert last - first < most, name


def megabytes_in_use() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def test_a_process_that_refits_again_and_again_needs_no_more_memory(tmp_path: Path, at_length: bool) -> None:
    """As tests and notebooks do; a run of the command, or of the code server, has a process of its own."""
    # Memory grows by some 15 MB over the first dozen, while allocators settle, and stays.
    refits, warmed_up = (28, 13) if at_length else (6, 3)
    sales = pd.concat(sales_by_week(FIRST_WEEKS))
    project = make_project(tmp_path / "project", sales)
    home = tmp_path / "home"
    home.mkdir()
    memory = []
    # On disk: the instances of other tests keep all events in memory.
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance:
        project.instance = instance
        for number in range(refits):
            project.write_sales(pd.concat([sales, sales.head(number % 3 + 1).assign(product=None)]))
            assert project.ingest().success
            assert project.refit(changed_only=False).success
            memory.append(megabytes_in_use())
    print(np.round(memory).tolist(), "MB")
    assert np.mean(memory[-3:]) - np.mean(memory[warmed_up - 3 : warmed_up]) < MOST_IN_ONE_PROCESS, memory
