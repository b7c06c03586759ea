"""Webserver, daemon and code server as deploy/supervisord.conf runs them; each is killed during a scheduled refit."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from elasticity_assets.home import dagster_home
from elasticity_assets_tests.support import waiting
from elasticity_assets_tests.support.ports import free_port
from elasticity_assets_tests.support.projects import settings_dict, simulated_sales
from elasticity_assets_tests.support.waiting import Found

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parents[2] / "deploy"
PATIENCE = 400.0  # seconds; a tick comes every minute
DONE = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
MAX_RUNTIME = 120


def until(look: Callable[[], Found | None], what: str) -> Found:
    return waiting.until(look, what, PATIENCE)


@dataclass
class Production:
    """The supervised processes, and the instance that they work on."""

    folder: Path
    instance: dg.DagsterInstance
    weeks: int = 15  # of the 20 that are simulated
    delivered: float = 0.0  # when the last one was

    def supervisorctl(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(DEPLOY / "supervisord.conf")]
        done = subprocess.run([*command, *arguments], check=False, capture_output=True, text=True, timeout=60)
        return done.stdout

    def pid(self, program: str) -> int:
        return int(self.supervisorctl("pid", program))

    def kill(self, program: str) -> None:
        os.kill(self.pid(program), signal.SIGKILL)

    def new_week(self) -> None:
        """Deliver one more week of all categories."""
        self.weeks += 1
        sales = simulated_sales(4)
        weeks = sorted(sales["week"].unique())[: self.weeks]
        beside = self.folder / "sales/.sales.tmp"
        sales[sales["week"].isin(weeks)].to_csv(beside, index=False)
        beside.replace(self.folder / "sales/sales.csv")
        self.delivered = time.time()

    def refits(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(job_name="refit", statuses=list(statuses))))

    def fitting(self) -> dg.DagsterRun:
        """Wait for a scheduled refit that takes in the newest week, until it fits."""

        def look() -> dg.DagsterRun | None:
            for run in self.refits(dg.DagsterRunStatus.STARTED):
                ingest = self.instance.get_run_record_by_id(run.tags["dagster/run_key"])
                if (
                    ingest
                    and (ingest.start_time or 0.0) > self.delivered
                    and self._began(run, "category_posterior")
                ):
                    return run
            return None

        return until(look, "a refit that fits")

    def _began(self, run: dg.DagsterRun, step: str) -> bool:
        events = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
        return any(event.dagster_event and event.dagster_event.step_key == step for event in events)

    def pid_of(self, run: dg.DagsterRun) -> int:
        for entry in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = entry.dagster_event
            if event and (pid := event.engine_event_data.metadata.get("pid")):
                return int(str(pid.value))
        raise AssertionError(f"run {run.run_id} told no pid")

    def outcome(self, run: dg.DagsterRun) -> list[dg.DagsterRunStatus]:
        """Wait until the run, or one started in its place, has succeeded; how each of them ended."""

        def look() -> list[dg.DagsterRunStatus] | None:
            runs = self.instance.get_runs(dg.RunsFilter(tags={"dagster/root_run_id": run.run_id}))
            again = self.instance.get_run_by_id(run.run_id)
            assert again
            statuses = [again.status, *(retry.status for retry in reversed(list(runs)))]
            return statuses if statuses[-1] == dg.DagsterRunStatus.SUCCESS else None

        return until(look, f"refit {run.run_id} to succeed, or one in its place")

    def published_weeks(self) -> int:
        """Weeks in the published file, whose tables must agree."""
        with duckdb.connect(str(self.folder / "data/elasticity.duckdb"), read_only=True) as connection:
            products = connection.sql("FROM product_elasticity SELECT category, product").fetchall()
            scenarios = connection.sql("FROM price_scenarios SELECT DISTINCT category, product").fetchall()
            sold = connection.sql("FROM weekly_sales SELECT DISTINCT category, product").fetchall()
            assert sorted(products) == sorted(scenarios) == sorted(sold)
            (weeks,) = connection.sql("SELECT count(DISTINCT period_start) FROM weekly_sales").fetchone()
        assert not [*self.folder.glob("data/.*.tmp*"), *self.folder.glob("data/elasticity.refits/.*")]
        return weeks


@pytest.fixture
def production() -> Iterator[Production]:
    with tempfile.TemporaryDirectory(prefix="el") as name, pytest.MonkeyPatch.context() as environment:
        folder = Path(name)  # pytest's own is too long for a socket's path
        content = settings_dict() | {"schedule": {"cron": "* * * * *"}}
        (folder / "elasticity.yaml").write_text(yaml.safe_dump(content))
        (folder / "sales").mkdir()
        environment.setenv("ELASTICITY_CONFIG", str(folder / "elasticity.yaml"))
        environment.delenv("DAGSTER_HOME", raising=False)
        home = dagster_home()
        instance_settings = yaml.safe_load((home / "dagster.yaml").read_text())
        instance_settings["run_monitoring"] |= {
            "poll_interval_seconds": 5,
            "max_runtime_seconds": MAX_RUNTIME,
        }
        (home / "dagster.yaml").write_text(yaml.safe_dump(instance_settings))
        for key, value in {
            "DAGSTER_HOME": str(home),
            "CODE_SERVER_SOCKET": str(home / "code_server.sock"),
            "UI_PORT": str(free_port()),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }.items():
            environment.setenv(key, value)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            found = Production(folder, instance)
            found.new_week()
            command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(DEPLOY / "supervisord.conf")]
            with (folder / "supervisord.log").open("wb") as log:
                supervisord = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                start_schedule()
                yield found
            finally:
                supervisord.send_signal(signal.SIGTERM)
                supervisord.wait(timeout=60)


def start_schedule() -> None:
    """As an operator does, once the code server is there."""
    workspace = str(DEPLOY / "workspace.supervised.yaml")
    command = [sys.executable, "-m", "dagster", "schedule", "start", "weekly_refit", "-w", workspace]

    def look() -> bool | None:
        done = subprocess.run(command, check=False, capture_output=True, timeout=120)
        return True if done.returncode == 0 else None

    until(look, "the code server")


def test_whatever_is_killed_the_refit_completes(production: Production, at_length: bool) -> None:
    a_killed_run_is_started_again_by_a_killed_daemon(production)
    the_webserver_answers()
    if at_length:  # some minutes each
        a_killed_program_is_started_again_and_the_refit_completes(production, "daemon")
        a_killed_program_is_started_again_and_the_refit_completes(production, "code_server")
        a_killed_run_is_started_again(production)
        a_run_that_vanished_with_the_code_server_is_found_by_its_time_and_started_again(production)


def a_killed_run_is_started_again_by_a_killed_daemon(production: Production) -> None:
    run = production.fitting()
    production.kill("daemon")
    os.kill(production.pid_of(run), signal.SIGKILL)
    assert production.outcome(run) == [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
    assert production.published_weeks() == production.weeks


def a_killed_program_is_started_again_and_the_refit_completes(production: Production, program: str) -> None:
    production.new_week()
    run = production.fitting()
    pid = production.pid(program)
    production.kill(program)
    assert production.outcome(run) == [dg.DagsterRunStatus.SUCCESS]
    assert production.published_weeks() == production.weeks
    assert until(lambda: production.pid(program) or None, program) != pid


def a_killed_run_is_started_again(production: Production) -> None:
    production.new_week()
    run = production.fitting()
    os.kill(production.pid_of(run), signal.SIGKILL)
    assert production.outcome(run) == [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
    assert production.published_weeks() == production.weeks


def a_run_that_vanished_with_the_code_server_is_found_by_its_time_and_started_again(
    production: Production,
) -> None:
    production.new_week()
    run = production.fitting()
    pid = production.pid_of(run)
    production.kill("code_server")  # nobody is left to tell of the run's end
    os.kill(pid, signal.SIGKILL)
    assert production.outcome(run) == [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
    messages = [entry.message for entry in production.instance.all_logs(run.run_id)]
    assert any(f"exceeding maximum runtime of {MAX_RUNTIME}" in message for message in messages)
    assert production.published_weeks() == production.weeks


def the_webserver_answers() -> None:
    url = f"http://127.0.0.1:{os.environ['UI_PORT']}/server_info"
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.status == 200
