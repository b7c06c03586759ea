"""What `elasticity status` reads of runs, from storages that Dagster wrote."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from elasticity_assets.command.past_runs import (
    PROCESS,
    last_runs,
    reasons,
    state_of,
    this_process,
    worth_telling,
)


@dg.op
def fail_or_not(context: dg.OpExecutionContext) -> None:
    if "fail" in context.run.tags:
        raise dg.Failure("no\nluck")


@dg.job
def refit() -> None:
    fail_or_not()


@dg.job
def ingest() -> None:
    fail_or_not()


@pytest.fixture(params=["usual storage", "another storage"])
def instance(request: pytest.FixtureRequest, tmp_path: Path):
    if request.param == "another storage":
        (tmp_path / "dagster.yaml").write_text(f"storage: {{sqlite: {{base_dir: {tmp_path / 'elsewhere'}}}}}")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def run(instance: dg.DagsterInstance, job: dg.JobDefinition, **tags: str) -> None:
    job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def told(home: Path) -> list[tuple[str, str | None]]:
    return [(run.job, state_of(run)) for run in worth_telling(last_runs(home))]


def test_no_run_yet(tmp_path: Path) -> None:
    assert last_runs(tmp_path) == []


def test_the_last_run_of_each_job_is_told_where_it_failed(instance, tmp_path: Path) -> None:
    run(instance, refit, fail="yes")
    run(instance, refit)
    assert told(tmp_path) == []
    run(instance, ingest, fail="yes")
    run(instance, refit)
    assert told(tmp_path) == [("ingest", "failed")]
    (failed,) = worth_telling(last_runs(tmp_path))
    assert reasons(tmp_path, [failed.run_id]) == {failed.run_id: "fail_or_not: no luck"}
    run(instance, ingest)
    assert told(tmp_path) == []


def test_runs_that_wait_and_that_are_under_way_are_told(instance, tmp_path: Path) -> None:
    run(instance, refit)
    instance.create_run_for_job(refit, status=dg.DagsterRunStatus.STARTED, tags={PROCESS: this_process()})
    instance.create_run_for_job(ingest, status=dg.DagsterRunStatus.NOT_STARTED)
    assert told(tmp_path) == [("ingest", "queued"), ("refit", "running")]


def test_a_run_whose_process_was_killed_is_not_taken_for_one_under_way(instance, tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for process in (f"{socket.gethostname()}:{gone.pid}", f"another machine:{gone.pid}", this_process()):
        instance.create_run_for_job(refit, status=dg.DagsterRunStatus.STARTED, tags={PROCESS: process})
    assert told(tmp_path) == [("refit", "running"), ("refit", "running"), ("refit", "vanished")]


def test_a_run_that_failed_without_an_event_of_a_step_says_what_dagster_says(
    instance, tmp_path: Path
) -> None:
    started = instance.create_run_for_job(refit, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(started, "The process that ran it has gone.")
    assert "has gone" in reasons(tmp_path, [started.run_id])[started.run_id]


def test_this_process_is_known_for_alive() -> None:
    assert this_process().endswith(f":{os.getpid()}")
