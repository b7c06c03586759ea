"""Jobs, the weekly schedule, and the sensor that lets a refit follow each ingest.

Two jobs do the weekly work, since one run cannot cover a category that it discovers itself: `ingest` brings the sales
and the category partitions up to date, `refit` does the rest for all categories in one run. `cross_check` is slow, and
has a schedule of its own.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from elasticity_assets.settings import CrossCheckSettings, ScheduleSettings

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
NO_FOLLOW_UP = "elasticity/no_follow_up"
"""Tag of ingest runs whose refit somebody else starts."""

_SALES = dg.AssetSelection.assets("raw_sales", "weekly_sales")
_CROSS_CHECK = dg.AssetSelection.assets("nuts_cross_check")

ingest = dg.define_asset_job(
    "ingest",
    _SALES,
    description="Takes in new and changed sales files; keeps the category partitions in step.",
)
refit = dg.define_asset_job(
    "refit",
    dg.AssetSelection.all() - _SALES - _CROSS_CHECK,
    description="Fits categories, pools them, and publishes elasticity.duckdb.",
)

cross_check = dg.define_asset_job(
    "cross_check",
    _CROSS_CHECK,
    description="Holds a few categories' posteriors against NUTS, in turns.",
)


def all_categories(partition_keys: Sequence[str]) -> dict[str, str]:
    """Tags that let one run of `refit` cover all these partitions.

    Parameters
    ----------
    partition_keys : sequence of str
        All partitions in their own order, at least one.
    """
    return {RANGE_START: partition_keys[0], RANGE_END: partition_keys[-1]}


def refit_config(*, changed_only: bool, categories: Sequence[str] = ()) -> dict[str, Any]:
    """Run config of `refit`: which categories are fitted (`assets.posterior.FitConfig`)."""
    config = {"changed_only": changed_only, "categories": list(categories)}
    return {"ops": {"category_posterior": {"config": config}}}


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[ingest],
    request_job=refit,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=15,
)
def refit_after_ingest(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """Start one refit of all categories after each ingest; only what changed is fitted anew."""
    if NO_FOLLOW_UP in context.dagster_run.tags:
        return dg.SkipReason("the `elasticity` command refits by itself")
    keys = context.instance.get_dynamic_partitions("category")
    if not keys:
        return dg.SkipReason("no category has sales")
    return dg.RunRequest(
        run_key=context.dagster_run.run_id,
        tags=all_categories(keys),
        run_config=refit_config(changed_only=True),
    )


def weekly_schedule(settings: ScheduleSettings) -> dg.ScheduleDefinition:
    """Start `ingest` when the settings say; the sensor takes over from there."""
    return dg.ScheduleDefinition(
        name="weekly_refit",
        job=ingest,
        cron_schedule=settings.cron,
        execution_timezone=settings.timezone,
        description="Takes in the sales files; the sensor refit_after_ingest then refits and publishes.",
    )


def cross_check_schedule(settings: CrossCheckSettings, schedule: ScheduleSettings) -> dg.ScheduleDefinition:
    """Start `cross_check` when the settings say."""
    return dg.ScheduleDefinition(
        name="regular_cross_check",
        job=cross_check,
        cron_schedule=settings.cron,
        execution_timezone=schedule.timezone,
        run_config={"ops": {"nuts_cross_check": {"config": {"most": settings.categories}}}},
        description="Holds a few categories' posteriors against NUTS, those first that were not checked for longest.",
    )
