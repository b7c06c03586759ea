import dagster as dg
import pytest

from elasticity_assets.automation import NO_FOLLOW_UP, RANGE_END, RANGE_START, refit_after_ingest
from elasticity_assets.definitions import build_definitions
from elasticity_assets_tests.projects import Project, make_project


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
    return refit_after_ingest(context)  # type: ignore[return-value]


def test_the_sensor_requests_one_refit_of_all_categories_that_succeeds(project: Project) -> None:
    result = project.ingest()
    request = evaluate(project, result)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == result.run_id
    keys = project.instance.get_dynamic_partitions("category")
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (keys[0], keys[-1])
    refit = build_definitions(project.settings).resolve_job_def("refit")
    run = refit.execute_in_process(
        instance=project.instance, tags=dict(request.tags), run_config=dict(request.run_config)
    )
    assert run.success
    assert len(project.published("category_elasticity")) == len(keys)


def test_the_sensor_leaves_the_command_to_refit_by_itself(project: Project) -> None:
    assert isinstance(evaluate(project, project.ingest(tags={NO_FOLLOW_UP: "true"})), dg.SkipReason)


def test_the_sensor_skips_where_no_category_has_sales(project: Project) -> None:
    result = project.ingest()
    for key in project.instance.get_dynamic_partitions("category"):
        project.instance.delete_dynamic_partition("category", key)
    assert isinstance(evaluate(project, result), dg.SkipReason)


def test_the_sensor_watches_ingest_and_the_schedule_starts_it(project: Project) -> None:
    definitions = build_definitions(project.settings)
    sensor = definitions.resolve_sensor_def("refit_after_ingest")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert [job.name for job in sensor.jobs] == ["refit"]
    with dg.build_schedule_context(instance=project.instance) as context:
        tick = definitions.resolve_schedule_def("weekly_refit").evaluate_tick(context)
    assert len(tick.run_requests or []) == 1
