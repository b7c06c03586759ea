"""What `elasticity status` reads of runs, from storages that Dagster wrote."""

import os
import socket
import sqlite3
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
    worth_showing,
)
from elasticity_assets.command.run_history import RunHistoryError
from elasticity_assets.command.status import runs_text
from elasticity_assets.words import utc_now


@dg.op
def fail_or_not(context: dg.OpExecutionContext) -> None:
    if "fail" in context.run.tags:
        raise dg.Failure("no\nluck")


@dg.job
def refit() -> None:
    fail_or_not()


@dg.job(name="__ASSET_JOB")
def ad_hoc() -> None:
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


def shown(home: Path) -> list[tuple[str, str | None]]:
    return [(run.job, state_of(run)) for run in worth_showing(last_runs(home))]


def test_no_run_yet(tmp_path: Path) -> None:
    assert last_runs(tmp_path) == []


def test_the_last_run_of_each_job_is_shown_where_it_failed(instance, tmp_path: Path) -> None:
    run(instance, refit, fail="yes")
    run(instance, refit)
    assert shown(tmp_path) == []
    run(instance, ingest, fail="yes")
    run(instance, refit)
    assert shown(tmp_path) == [("ingest", "failed")]
    (failed,) = worth_showing(last_runs(tmp_path))
    assert reasons(tmp_path, [failed.run_id]) == {failed.run_id: "fail_or_not: no luck"}
    run(instance, ingest)
    assert shown(tmp_path) == []


def test_runs_that_wait_and_that_are_under_way_are_shown(instance, tmp_path: Path) -> None:
    run(instance, refit)
    instance.create_run_for_job(refit, status=dg.DagsterRunStatus.STARTED, tags={PROCESS: this_process()})
    instance.create_run_for_job(ingest, status=dg.DagsterRunStatus.NOT_STARTED)
    assert shown(tmp_path) == [("ingest", "queued"), ("refit", "running")]


def number_of_a_process_that_has_gone() -> int:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


def test_a_run_whose_process_was_killed_before_its_first_step_does_not_wait_for_ever(
    instance, tmp_path: Path
) -> None:
    process = f"{socket.gethostname()}:{number_of_a_process_that_has_gone()}"
    instance.create_run_for_job(refit, tags={PROCESS: process})
    assert shown(tmp_path) == [("refit", "vanished")]


def test_of_runs_of_the_ui_it_is_said_that_only_dagsters_record_is_known(instance, tmp_path: Path) -> None:
    instance.create_run_for_job(refit, status=dg.DagsterRunStatus.STARTED, tags={PROCESS: this_process()})
    instance.create_run_for_job(refit, status=dg.DagsterRunStatus.STARTED)
    instance.create_run_for_job(refit)
    waiting, of_ui, own = runs_text(last_runs(tmp_path), {}, utc_now())
    assert " waits by Dagster's record, asked for " in waiting
    assert " is under way by Dagster's record, started " in of_ui
    assert " is under way, started " in own


def test_a_failed_materialization_of_chosen_assets_is_shown_until_a_refit_succeeds(
    instance, tmp_path: Path
) -> None:
    run(instance, ad_hoc, fail="yes")
    run(instance, ingest)
    assert shown(tmp_path) == [("__ASSET_JOB", "failed")]
    run(instance, refit, fail="yes")
    assert shown(tmp_path) == [("refit", "failed"), ("__ASSET_JOB", "failed")]
    run(instance, refit)
    assert shown(tmp_path) == []
    run(instance, ad_hoc, fail="yes")
    assert shown(tmp_path) == [("__ASSET_JOB", "failed")]


def test_a_file_that_dagster_is_just_making_has_no_runs(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    sqlite3.connect(tmp_path / "history/runs.db").close()
    assert last_runs(tmp_path) == []


def test_a_damaged_record_of_runs_is_named_with_what_helps(instance, tmp_path: Path) -> None:
    run(instance, refit)
    (file,) = tmp_path.rglob("runs.db")
    for path in (file, *file.parent.glob("runs.db-*")):
        path.write_bytes(b"no database" * 1000)
    with pytest.raises(RunHistoryError, match=f"{tmp_path}.*move {tmp_path} away: only the runs") as error:
        last_runs(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("run_queue: [1,", "line 1, column "),
        ("sqlite", "no settings of Dagster's; remove it"),
        ("storage: {nonsense: 1}", "nonsense"),
    ],
)
def test_a_mistake_in_dagsters_settings_is_named(tmp_path: Path, text: str, mistake: str) -> None:
    (tmp_path / "dagster.yaml").write_text(text)
    with pytest.raises(RunHistoryError, match=f"{tmp_path / 'dagster.yaml'}: .*{mistake}") as error:
        last_runs(tmp_path)
    assert "\n" not in str(error.value)


def test_a_run_whose_process_was_killed_is_not_taken_for_one_under_way(instance, tmp_path: Path) -> None:
    gone = number_of_a_process_that_has_gone()
    for process in (f"{socket.gethostname()}:{gone}", f"another machine:{gone}", this_process()):
        instance.create_run_for_job(refit, status=dg.DagsterRunStatus.STARTED, tags={PROCESS: process})
    assert shown(tmp_path) == [("refit", "running"), ("refit", "running"), ("refit", "vanished")]


def test_a_run_that_failed_without_an_event_of_a_step_says_what_dagster_says(
    instance, tmp_path: Path
) -> None:
    started = instance.create_run_for_job(refit, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(started, "The process that ran it has gone.")
    assert "has gone" in reasons(tmp_path, [started.run_id])[started.run_id]


def test_this_process_is_known_for_alive() -> None:
    assert this_process().endswith(f":{os.getpid()}")
