"""Processes that take in files and refit, all on one warehouse, beside readers of the published file."""

import multiprocessing
import random
import time
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest
import yaml

from elasticity_assets.home import dagster_home
from elasticity_assets.settings import load_settings
from elasticity_assets_tests.support.projects import Project, settings_dict, simulated_sales

pytestmark = pytest.mark.slow

spawn = multiprocessing.get_context("spawn")
PUBLISHED = """
    SELECT count(*), count(DISTINCT (category, product)), count(DISTINCT fit_id) = count(DISTINCT category),
           (SELECT sum(n_products) FROM category_elasticity),
           (SELECT n_products FROM refits ORDER BY number DESC LIMIT 1)
    FROM product_elasticity
"""


def open_project(folder: Path, instance: dg.DagsterInstance) -> Project:
    return Project(folder, load_settings(folder / "elasticity.yaml"), instance)


def new_product(category: str, product: str) -> pd.DataFrame:
    """Sales of one more product, in the weeks of the others."""
    sales = simulated_sales().query("product == 'p1'")
    return sales.assign(category=category, product=product)


def refit_until(deadline: float, folder: Path, name: str, outcome) -> None:
    """Add a file with a new product now and then, else refit one category; tell how many runs ended how."""
    chance = random.Random(name)
    succeeded, failed, rows = 0, [], 0
    with dg.DagsterInstance.get() as instance:
        project = open_project(folder, instance)
        while succeeded + len(failed) == 0 or time.time() < deadline:  # once, however late it starts
            category = chance.choice(sorted(project.partition_keys()))
            if chance.random() < 0.3:
                sales = new_product(category, f"{name}-{succeeded}")
                project.write_sales(sales, f"{name}-{succeeded}.csv")
                rows += len(sales)
                result = project.ingest()
            else:
                result = project.refit(categories=[category])
            if result.success:
                succeeded += 1
            else:
                failed.append(str([e.step_failure_data.error for e in result.get_step_failure_events()]))
    outcome.put((name, succeeded, failed, rows))


def read_until(deadline: float, file: Path, stays_connected: bool, outcome) -> None:
    """Query all the time; tell how many answers were right and wrong."""
    right, wrong = 0, []
    while right + len(wrong) == 0 or time.time() < deadline:
        with duckdb.connect(str(file), read_only=True) as connection:
            first = connection.execute(PUBLISHED).fetchall()
            for _ in range(20 if stays_connected else 1):
                n, distinct, one_fit, of_categories, of_refit = row = connection.execute(
                    PUBLISHED
                ).fetchall()[0]
                if n == distinct == of_categories == of_refit and one_fit and [row] == first:
                    right += 1
                else:
                    wrong.append(str(row))
                time.sleep(0.05)
    outcome.put(("reader", right, wrong, 0))


@pytest.fixture(params=["duckdb", "ducklake"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project on a warehouse of either kind."""
    settings = settings_dict()
    if request.param == "ducklake":
        warehouse = request.getfixturevalue("ducklake")
        settings |= {"warehouse": warehouse.path, "ducklake_files": warehouse.files}
    (tmp_path / "elasticity.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("ELASTICITY_CONFIG", str(tmp_path / "elasticity.yaml"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home()))
    return tmp_path


def test_processes_refit_at_once_and_readers_never_notice(folder: Path, at_length: bool) -> None:
    n_processes, n_categories, seconds = (8, 20, 300) if at_length else (3, 5, 20)
    sales = simulated_sales(n_categories)
    with dg.DagsterInstance.get() as instance:
        project = open_project(folder, instance)
        project.write_sales(sales)
        assert project.ingest().success
        assert project.refit().success
    outcome = spawn.Queue()
    deadline = time.time() + seconds
    names = [f"process{number}" for number in range(n_processes)]
    processes = [
        spawn.Process(target=refit_until, args=(deadline, folder, name, outcome)) for name in names
    ] + [
        spawn.Process(target=read_until, args=(deadline, folder / "data/elasticity.duckdb", stays, outcome))
        for stays in (True, False)
    ]
    for process in processes:
        process.start()
    outcomes = [outcome.get(timeout=seconds + 600) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [problem for _, _, problems, _ in outcomes for problem in problems] == []
    assert all(n > 0 for _, n, _, _ in outcomes)
    added = sum(rows for *_, rows in outcomes)
    with dg.DagsterInstance.get() as instance:
        project = open_project(folder, instance)
        assert project.ingest().success
        assert project.refit().success
        assert not instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    n_runs = sum(n for name, n, *_ in outcomes if name != "reader")
    print(
        f"{n_runs} runs and {sum(n for name, n, *_ in outcomes if name == 'reader')} queries, {added} rows added"
    )
    files = pd.concat([pd.read_csv(file) for file in sorted((folder / "sales").glob("*.csv"))])
    assert len(files) == len(sales) + added
    weekly = project.published("weekly_sales")
    keys = ["category", "product", "period_start"]
    expected = files.assign(period_start=pd.to_datetime(files["week"])).set_index(keys)["units"].sort_index()
    found = weekly.set_index(keys)["units"].sort_index()
    pd.testing.assert_series_equal(found, expected, check_dtype=False, check_index_type=False)
    assert len(project.published("product_elasticity")) == files["product"].nunique()
    left = [file for file in folder.rglob("*") if ".tmp" in file.name]
    assert not left
