"""Runs of the two jobs in this process, quietly: what the `elasticity` command does with Dagster."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.log_manager import get_log_record_event, has_log_record_event

from elasticity_assets.automation.jobs import NO_FOLLOW_UP, all_categories, refit_config
from elasticity_assets.automation.run_failures import failures
from elasticity_assets.definitions import build_definitions
from elasticity_assets.settings import Settings

COMMAND = "elasticity/command"
"""Tag of the command's own runs; its value is the warehouse that they work on."""

LOGGERS: dict[str, Any] = {"loggers": {"console": {}}}


class _Stages(logging.Handler):
    """Says of each step that ended how long it took."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line for each successful step."""
        if not has_log_record_event(record):
            return
        event = get_log_record_event(record)
        if event.is_step_success:
            seconds = event.step_success_data.duration_ms / 1000
            click.echo(f"{event.step_key:<22}{seconds:8.1f} s", err=True)


@dg.logger
def stages(context: dg.InitLoggerContext) -> logging.Logger:
    """Log only what a person at a terminal wants to see."""
    logger = logging.Logger("elasticity", logging.DEBUG)
    logger.addHandler(_Stages())
    return logger


def open_instance(home: Path) -> dg.DagsterInstance:
    """Open Dagster's instance in DAGSTER_HOME, leaving this process's output alone.

    Dagster's capture of it into files would hide progress bars from the terminal.
    """
    uncaptured = {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
    return dg.DagsterInstance.from_ref(
        InstanceRef.from_dir(str(home), overrides={"compute_logs": uncaptured})
    )


def end_dead_runs(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Mark runs of a killed command as failed; call with the warehouse's `run_lock` in hand."""
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished, tags=_tags(settings))):
        instance.report_run_failed(run, "The process that ran it has gone.")


def run_ingest(settings: Settings, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Run the job `ingest`."""
    job = build_definitions(settings, loggers={"console": stages}).resolve_job_def("ingest")
    return job.execute_in_process(
        instance=instance, tags=_tags(settings), run_config=LOGGERS, raise_on_error=False
    )


def run_refit(
    settings: Settings,
    instance: dg.DagsterInstance,
    partition_keys: Sequence[str],
    *,
    full: bool,
    categories: Sequence[str],
) -> dg.ExecuteInProcessResult:
    """Run the job `refit` over all partitions.

    Parameters
    ----------
    settings : Settings
    instance : DagsterInstance
    partition_keys : sequence of str
        All categories' partitions, in their own order.
    full : bool
        Fit every category anew.
    categories : sequence of str
        Fit only these; empty means no restriction.
    """
    job = build_definitions(settings, loggers={"console": stages}).resolve_job_def("refit")
    return job.execute_in_process(
        instance=instance,
        tags={**_tags(settings), **all_categories(partition_keys)},
        run_config={**LOGGERS, **refit_config(changed_only=not full, categories=categories)},
        raise_on_error=False,
    )


def what_failed(result: dg.ExecuteInProcessResult) -> list[str]:
    """Say in one line each what failed in a run; empty if nothing did."""
    lines = failures(result.all_events)
    if not result.success and not lines:
        lines.append(f"run {result.run_id} of {result.job_def.name} failed; see it in the UI (`make dev`)")
    return lines


def _tags(settings: Settings) -> dict[str, str]:
    warehouse = settings.warehouse if settings.on_ducklake else str(settings.warehouse_file.resolve())
    return {NO_FOLLOW_UP: "true", COMMAND: warehouse}
