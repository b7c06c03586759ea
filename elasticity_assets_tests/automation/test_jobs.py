import os
from collections.abc import Callable

import dagster as dg
import duckdb
import numpy as np
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.storage.tags import PARTITION_NAME_TAG

from elasticity_assets.automation.jobs import (
    NO_FOLLOW_UP,
    RANGE_END,
    RANGE_START,
    all_categories,
    refit_config,
)
from elasticity_assets.automation.partitions import categories_of
from elasticity_assets.automation.run_failures import failures
from elasticity_assets.definitions import build_definitions
from elasticity_assets.warehouse.of_settings import warehouse_of
from elasticity_assets_tests.support.locks import held_elsewhere
from elasticity_assets_tests.support.projects import (
    CATEGORIES,
    Project,
    checks,
    make_project,
    simulated_sales,
)


@pytest.fixture
def project(tmp_path) -> Project:
    return make_project(tmp_path)


def evaluate(project: Project, result: dg.ExecuteInProcessResult) -> dg.RunRequest | dg.SkipReason:
    """What the sensor does after this run."""
    context = dg.build_run_status_sensor_context(
        sensor_name="refit_after_ingest",
        dagster_instance=project.instance,
        dagster_run=result.dagster_run,
        dagster_event=next(event for event in result.all_events if event.is_job_success),
    )
    sensor = build_definitions(project.settings).resolve_sensor_def("refit_after_ingest")
    return sensor(context)  # type: ignore[return-value]


def test_the_sensor_requests_one_refit_of_all_categories_that_succeeds(project: Project) -> None:
    result = project.ingest()
    request = evaluate(project, result)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == result.run_id
    keys = project.partition_keys()
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (keys[0], keys[-1])
    refit = build_definitions(project.settings).resolve_job_def("refit")
    run = refit.execute_in_process(
        instance=project.instance, tags=dict(request.tags), run_config=dict(request.run_config)
    )
    assert run.success
    assert len(project.published("category_elasticity")) == len(keys)


def test_a_refit_asked_for_before_an_ingest_drops_a_category_fits_the_others(tmp_path) -> None:
    sales = simulated_sales(n_categories=3)
    first, stays, last = sorted(sales["category"].unique())
    project = make_project(tmp_path, sales)
    project.ingest()
    assert project.partition_keys() == [first, stays, last]
    job = build_definitions(project.settings).resolve_job_def("refit")
    asked_for = [
        (all_categories([first, stays, last]), [first, last]),
        ({PARTITION_NAME_TAG: last}, [last]),
    ]
    runs = [
        project.instance.create_run_for_job(job, run_config=refit_config(changed_only=True), tags=tags)
        for tags, _ in asked_for
    ]
    project.write_sales(sales[sales["category"] == stays])
    project.ingest()
    for run, (_, gone) in zip(runs, asked_for, strict=True):
        assert execute_run(InMemoryJob(job), run, project.instance).success
        assert list(project.published("category_elasticity")["category"]) == [stays]
        said = f"asked for, and without sales since: {', '.join(map(repr, gone))}; the others go on"
        assert said in [entry.user_message for entry in project.instance.all_logs(run.run_id)]


def test_the_sensor_leaves_the_command_to_refit_by_itself(project: Project) -> None:
    assert isinstance(evaluate(project, project.ingest(tags={NO_FOLLOW_UP: "true"})), dg.SkipReason)


def test_the_sensor_skips_where_no_category_has_sales(project: Project) -> None:
    result = project.ingest()
    for key in project.partition_keys():
        partitions = categories_of(warehouse_of(project.settings))
        project.instance.delete_dynamic_partition(partitions.name or "", key)
    assert isinstance(evaluate(project, result), dg.SkipReason)


def test_the_sensor_watches_ingest_and_the_schedule_starts_it(project: Project) -> None:
    definitions = build_definitions(project.settings)
    sensor = definitions.resolve_sensor_def("refit_after_ingest")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert [job.name for job in sensor.jobs] == ["refit"]
    with dg.build_schedule_context(instance=project.instance) as context:
        tick = definitions.resolve_schedule_def("weekly_refit").evaluate_tick(context)
    assert len(tick.run_requests or []) == 1


def look(project: Project, cursor: str | None) -> tuple[dg.SensorResult | dg.SkipReason, str | None]:
    """What the sensor on the sales folder does, and its next cursor."""
    sensor = build_definitions(project.settings).resolve_sensor_def("new_sales_files")
    with dg.build_sensor_context(instance=project.instance, cursor=cursor) as context:
        found = sensor.evaluate_tick(context)
    return found, found.cursor if found.cursor is not None else cursor


def test_the_folder_is_ingested_once_its_files_are_at_rest(project: Project) -> None:
    found, cursor = look(project, None)
    assert not found.run_requests
    found, cursor = look(project, cursor)
    assert len(found.run_requests) == 1
    found, cursor = look(project, cursor)
    assert not found.run_requests
    assert found.skip_message == "no sales file is new or changed"
    for weeks in (1, 2):  # a file that grows between two looks
        project.write_sales(simulated_sales().head(weeks), "more.csv")
        found, cursor = look(project, cursor)
        assert not found.run_requests
    found, cursor = look(project, cursor)
    assert len(found.run_requests) == 1
    assert not look(project, cursor)[0].run_requests


def test_files_put_back_as_they_were_are_ingested_again(project: Project) -> None:
    file = project.folder / "sales/sales.csv"
    before, times = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    keys, cursor = [], None
    for content in (before, b"product,category,week,units,price\n", before):
        file.write_bytes(content)
        if content == before:
            os.utime(file, ns=times)
        for _ in range(2):
            found, cursor = look(project, cursor)
        keys += [request.run_key for request in found.run_requests]
    assert keys == [None] * 3


def test_a_file_that_has_gone_hides_none_of_the_others(project: Project) -> None:
    path = [str(project.folder / "gone.csv"), *project.settings.sales.path]
    sales = project.settings.sales.model_copy(update={"path": path})
    project.settings = project.settings.model_copy(update={"sales": sales})
    _, cursor = look(project, None)
    assert look(project, cursor)[0].run_requests


def test_what_runs_by_itself_from_the_start(project: Project) -> None:
    definitions = build_definitions(project.settings)
    running = {
        automation.name: automation.default_status.value == "RUNNING"
        for automation in [*definitions.schedules, *definitions.sensors]
    }
    assert running == {
        "weekly_refit": False,
        "new_sales_files": False,
        "refit_after_ingest": True,
        "failure_webhook": True,
        "regular_cross_check": False,
        "daily_age_check": False,
    }


def test_the_age_check_before_the_first_refit_warns(project: Project) -> None:
    job = build_definitions(project.settings).resolve_job_def("check_ages")
    check = checks(job.execute_in_process(instance=project.instance))["every_category_is_recent"]
    assert (check.passed, check.description) == (False, "nothing is published yet")


def test_the_age_check_waits_for_no_run_and_its_result_is_kept(project: Project) -> None:
    job = build_definitions(project.settings).resolve_job_def("check_ages")
    with held_elsewhere(project.settings.warehouse_file):
        assert job.execute_in_process(instance=project.instance).success
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
        kept = connection.execute('SELECT "check", category, passed, message FROM check_results').fetchall()
    assert kept == [("every_category_is_recent", "", False, "nothing is published yet")]


def test_a_folder_without_files_is_told_and_starts_nothing(project: Project) -> None:
    for file in (project.folder / "sales").iterdir():
        file.unlink()
    found, _ = look(project, None)
    assert not found.run_requests
    assert "there is no file" in found.skip_message


def test_weekly_assets_have_a_freshness_policy(project: Project) -> None:
    graph = build_definitions(project.settings).resolve_asset_graph()
    policies = {key.to_user_string(): graph.get(key).freshness_policy for key in graph.get_all_asset_keys()}
    assert policies.pop("nuts_cross_check") is None
    assert {policy.fail_window.to_timedelta().days for policy in policies.values()} == {8}


def test_categories_whose_numbers_or_sales_are_old_are_named(project: Project) -> None:
    sales = simulated_sales()
    first, second = CATEGORIES
    newest = sorted(sales["week"].unique())[-2:]
    project.write_sales(sales[(sales["category"] != second) | ~sales["week"].isin(newest)])
    project.ingest()
    result = project.refit()
    check = checks(result)["every_category_is_recent"]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.description == f"{second!r}: its newest sales are 2 periods old"
    with duckdb.connect(str(project.settings.published)) as connection:
        connection.execute(
            "UPDATE category_elasticity SET fitted_at = fitted_at - INTERVAL 9 DAY WHERE category = ?",
            [first],
        )
    job = build_definitions(project.settings).resolve_job_def("check_ages")
    check = checks(job.execute_in_process(instance=project.instance))["every_category_is_recent"]
    assert f"{first!r}: fitted 9 days ago" in check.description
    records = {record.data["category"]: record.data for record in check.metadata["categories"].records}
    assert records[second]["periods behind"] == 2
    assert records[second]["days since fit"] < 1.0


def no_memory_of_python() -> None:
    raise MemoryError


def no_memory_of_numpy() -> None:
    np.empty(2**50)


def no_memory_of_duckdb() -> None:
    with duckdb.connect(config={"memory_limit": "10MB", "temp_directory": ""}) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT random() FROM range(10_000_000)")


@pytest.mark.parametrize("work", [no_memory_of_python, no_memory_of_numpy, no_memory_of_duckdb])
def test_a_step_that_ran_out_of_memory_says_so(work: Callable[[], None]) -> None:
    @dg.op
    def fits() -> None:
        work()

    @dg.job
    def all_of_it() -> None:
        fits()

    result = all_of_it.execute_in_process(raise_on_error=False)
    (line,) = failures(result.all_events)
    assert line.startswith("fits: memory ran out")
    assert ("raise it" if work is no_memory_of_duckdb else "lower `warehouse_memory`") in line
