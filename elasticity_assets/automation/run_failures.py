"""Why a run failed, in one line each: for the terminal and for the webhook."""

import re
from collections.abc import Iterable

import dagster as dg
from dagster._core.events import JobFailureData
from dagster._utils.error import SerializableErrorInfo

from elasticity_assets.words import in_one_line, memory_ran_out


def failures(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Say in one line each what failed in a run: categories, other blocking checks, steps; else why none began.

    Parameters
    ----------
    events : iterable of DagsterEvent
        All of the run.
    """
    of_checks, of_steps, of_run = [], [], []
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed and evaluation.blocking:
                of_checks += _by_category(evaluation) or [
                    f"{evaluation.asset_key.to_user_string()}: {evaluation.description}"
                ]
        elif event.is_step_failure:
            error = _cause(event)
            if error and error.cls_name != "DagsterAssetCheckFailedError":  # its check says more
                of_steps.append(f"{event.step_key}: {_message(error)}")
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
            data = event.event_specific_data  # with an error where no step could begin: a resource failed
            if isinstance(data, JobFailureData) and data.error:
                of_run.append(_message(_innermost(data.error)))
    return of_checks + of_steps or of_run


def why_it_failed(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Say in one line each why a run failed; at least one."""
    events = [entry.dagster_event for entry in instance.all_logs(run_id) if entry.dagster_event]
    ends = [event.message for event in events if event.is_job_failure and event.message]
    return failures(events) or [in_one_line(ends[-1] if ends else "no reason was given")]


def settings_mistakes(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Say in one line each what is wrong in the settings, as a run found out with the files in hand."""
    errors = [_cause(event) for event in events if event.is_step_failure]
    return [_message(error) for error in errors if error and error.cls_name == "SettingsError"]


def _cause(event: dg.DagsterEvent) -> SerializableErrorInfo | None:
    """Innermost error of a failed step."""
    error = event.step_failure_data.error
    return _innermost(error) if error else None


def _innermost(error: SerializableErrorInfo) -> SerializableErrorInfo:
    while error.cause:
        error = error.cause
    return error


def _message(error: SerializableErrorInfo) -> str:
    """Text of an error in one line, without the name of its class, which says nothing to a user."""
    if ran_out := memory_ran_out(error.cls_name or "", error.message):
        return ran_out
    return re.sub(rf"^[\w.]*\b{error.cls_name}: ", "", in_one_line(error.message))


def _by_category(evaluation: dg.AssetCheckEvaluation) -> list[str]:
    """Lines of the check `every_category_refitted`; none for other checks."""
    table = evaluation.metadata.get("categories")
    if not isinstance(table, dg.TableMetadataValue):
        return []
    rows = [record.data for record in table.records]
    return [
        f"category {row['category']!r} was not refitted, its last numbers stay: {row['message']}"
        for row in rows
        if not row.get("passed", True)
    ]
