"""The schedule and the sensor through a real daemon: one tick, and the tables stand."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from elasticity_assets.automation.jobs import RANGE_END, RANGE_START
from elasticity_assets.automation.partitions import partition_keys
from elasticity_assets.home import dagster_home
from elasticity_assets.settings import load_settings
from elasticity_assets.warehouse.of_settings import warehouse_of
from elasticity_assets_tests.support.projects import CATEGORIES, settings_dict, simulated_sales

pytestmark = pytest.mark.slow

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
PATIENCE = 300.0  # seconds; a tick comes every minute


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DAGSTER_HOME of a project that is due every minute."""
    content = settings_dict() | {"schedule": {"cron": "* * * * *"}}
    (tmp_path / "elasticity.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "sales").mkdir()
    simulated_sales().to_csv(tmp_path / "sales/sales.csv", index=False)
    monkeypatch.setenv("ELASTICITY_CONFIG", str(tmp_path / "elasticity.yaml"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = dagster_home()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


@contextmanager
def daemon(log: Path) -> Iterator[None]:
    """Run Dagster's daemon, with all processes that it starts."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-w", str(WORKSPACE)],
            env=os.environ.copy(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=30)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def finished(instance: dg.DagsterInstance, job: str) -> list[dg.DagsterRun]:
    done = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    return list(instance.get_runs(dg.RunsFilter(job_name=job, statuses=done)))


def test_a_tick_of_the_schedule_ends_with_published_tables(home: Path, tmp_path: Path) -> None:
    assert home == tmp_path / ".dagster"
    schedule = [sys.executable, "-m", "dagster", "schedule", "start", "weekly_refit", "-w", str(WORKSPACE)]
    subprocess.run(schedule, check=True, timeout=120, capture_output=True)
    with dg.DagsterInstance.from_config(str(home)) as instance, daemon(tmp_path / "daemon.log"):
        deadline = time.monotonic() + PATIENCE
        while not finished(instance, "refit") and time.monotonic() < deadline:
            time.sleep(1.0)
        log = (tmp_path / "daemon.log").read_text()
        assert finished(instance, "refit"), log[-4000:]
        refit, ingest = finished(instance, "refit")[-1], finished(instance, "ingest")[-1]
        assert ingest.status == dg.DagsterRunStatus.SUCCESS, log[-4000:]
        assert refit.status == dg.DagsterRunStatus.SUCCESS, log[-4000:]
        keys = partition_keys(instance, warehouse_of(load_settings(tmp_path / "elasticity.yaml")))
        assert (refit.tags[RANGE_START], refit.tags[RANGE_END]) == (keys[0], keys[-1])
        assert refit.tags["dagster/run_key"] == ingest.run_id
    with duckdb.connect(str(tmp_path / "data/elasticity.duckdb"), read_only=True) as connection:
        published = connection.sql("SELECT category FROM category_elasticity ORDER BY category").fetchall()
    assert [name for (name,) in published] == sorted(CATEGORIES)
