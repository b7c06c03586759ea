"""Runs of the two jobs in this process, quietly: what the `elasticity` command does with Dagster."""

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.execution.api import execute_run
from dagster._core.execution.job_execution_result import JobExecutionResult as Result
from dagster._core.instance.ref import InstanceRef
from dagster._core.log_manager import (
    get_log_record_event,
    get_log_record_metadata,
    has_log_record_event,
    has_log_record_metadata,
)
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from elasticity_assets.automation.jobs import NO_FOLLOW_UP, all_categories, refit_config
from elasticity_assets.automation.partitions import category_of, partition_keys
from elasticity_assets.automation.run_failures import failures, settings_mistakes
from elasticity_assets.command.event_log import close_to_others, with_files_kept_open
from elasticity_assets.command.past_runs import PROCESS, this_process
from elasticity_assets.command.run_history import told_in_one_line
from elasticity_assets.definitions import build_definitions
from elasticity_assets.settings import Settings, SettingsError
from elasticity_assets.warehouse.file import Say
from elasticity_assets.warehouse.of_settings import warehouse_of
from elasticity_assets.words import in_one_line

COMMAND = "elasticity/command"
"""Tag of the command's own runs; its value is the warehouse that they work on."""

_LOCATION = ManagedGrpcPythonEnvCodeLocationOrigin(
    LoadableTargetOrigin(executable_path=sys.executable, module_name="elasticity_assets.definitions"),
    "elasticity_assets",
)
"""The code location of workspace.yaml: the UI's timeline shows runs of those that it knows, and no others."""

LOGGERS: dict[str, Any] = {"loggers": {"console": {}}}


class _Stages(logging.Handler):
    """Says of each step that ended how long it took, and passes on what it warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line for each successful step, and for each warning of ours."""
        if not has_log_record_event(record):
            if record.levelno == logging.WARNING and has_log_record_metadata(record):
                click.echo(in_one_line(get_log_record_metadata(record)["orig_message"]), err=True)
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
    here = InstanceRef.from_dir(str(home), overrides={"compute_logs": uncaptured})
    instance = dg.DagsterInstance.from_ref(with_files_kept_open(here))
    close_to_others(
        *home.glob("history/*.db*"), *home.glob("schedules/*.db*"), *home.glob("history/runs/index.db*")
    )
    return instance


def end_dead_runs(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Mark runs of a killed command as failed; call with the warehouse's `run_lock` in hand."""
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished, tags=_tags(settings))):
        instance.report_run_failed(run, "The process that ran it has gone.")


def end_own_runs(home: Path) -> None:
    """Mark this process's unfinished runs as canceled; one that cannot be marked the next run marks as failed."""
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED]
    own = dg.RunsFilter(statuses=unfinished, tags={PROCESS: this_process()})
    with suppress(Exception), open_instance(home) as instance:  # the process ends, whatever happens here
        for run in instance.get_runs(own):
            instance.report_run_canceled(run, "Interrupted at the terminal.")


def ingest_and_refit(
    settings: Settings, home: Path, categories: Sequence[str], *, full: bool, say: Say
) -> tuple[bool, list[str]]:
    """Take in sales files, and refit.

    Parameters
    ----------
    settings : Settings
    home : Path
        DAGSTER_HOME.
    categories : sequence of str
        Fit only these; empty means no restriction.
    full : bool
        Fit every category anew.
    say : callable
        Takes one line for a person to read.

    Returns
    -------
    published : bool
        Whether the tables are of this refit.
    failed : list of str
        What failed, in one line each.

    Raises
    ------
    SettingsError
        If the settings contradict the files, or no sales are of one of the categories.
    """
    if settings.sales.hands_over:
        raise SettingsError(
            f"sales.asset: {'/'.join(settings.sales.asset)} is an asset of a Dagster project, where the component "
            "refits; name the table that it makes in sales.table, too, and this command reads that"
        )
    with told_in_one_line(home), open_instance(home) as instance:
        known = _known_categories(settings, instance)
        if known and (unknown := sorted(set(categories) - set(known))):
            say(f"{_no_sales_of(unknown, known)}; looking for them in the sales files")
        with warehouse_of(settings).run_lock(say):
            end_dead_runs(settings, instance)
            result = run_ingest(settings, instance)
            if mistakes := settings_mistakes(result.all_events):
                raise SettingsError("; ".join(mistakes))
            if failed := what_failed(result):
                return False, failed
            known = _known_categories(settings, instance)
            if unknown := sorted(set(categories) - set(known)):
                raise SettingsError(f"--category: {_no_sales_of(unknown, known)}")
            keys = partition_keys(instance, warehouse_of(settings))
            result = run_refit(settings, instance, keys, full=full, categories=categories)
            failed = what_failed(result)
    return result.success or any(line.startswith("category ") for line in failed), failed


def _known_categories(settings: Settings, instance: dg.DagsterInstance) -> list[str]:
    return sorted(map(category_of, partition_keys(instance, warehouse_of(settings))))


def _no_sales_of(unknown: Sequence[str], known: Sequence[str]) -> str:
    return f"no sales of {', '.join(map(repr, unknown))}; known are {', '.join(map(repr, known))}"


def run_ingest(settings: Settings, instance: dg.DagsterInstance) -> Result:
    """Run the job `ingest`."""
    return _run(settings, instance, "ingest", {}, LOGGERS)


def run_refit(
    settings: Settings,
    instance: dg.DagsterInstance,
    partition_keys: Sequence[str],
    *,
    full: bool,
    categories: Sequence[str],
) -> Result:
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
    config = {**LOGGERS, **refit_config(changed_only=not full, categories=categories)}
    return _run(settings, instance, "refit", all_categories(partition_keys), config)


def _run(
    settings: Settings,
    instance: dg.DagsterInstance,
    name: str,
    tags: Mapping[str, str],
    config: Mapping[str, Any],
) -> Result:
    """Run a job in this process, as a run of the code location that the UI shows."""
    job = build_definitions(settings, loggers={"console": stages}).resolve_job_def(name)
    run = instance.create_run_for_job(
        job,
        run_config=config,
        tags={**_tags(settings), PROCESS: this_process(), MAX_RETRIES_TAG: "0", **tags},
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(_LOCATION, SINGLETON_REPOSITORY_NAME), name),
    )
    return execute_run(InMemoryJob(job), run, instance)


def what_failed(result: Result) -> list[str]:
    """Say in one line each what failed in a run; empty if nothing did."""
    lines = failures(result.all_events)
    if not result.success and not lines:
        lines.append(f"run {result.run_id} of {result.job_def.name} failed; see it in the UI (`make dev`)")
    return lines


def _tags(settings: Settings) -> dict[str, str]:
    return {NO_FOLLOW_UP: "true", COMMAND: warehouse_of(settings).name}
