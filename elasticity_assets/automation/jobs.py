"""Jobs, schedules, freshness policies, and the sensors that start an ingest, and a refit after each.

Two jobs do the weekly work, since one run cannot cover a category that it discovers itself: `ingest` brings the sales
and the category partitions up to date, `refit` does the rest for all categories in one run. `cross_check` is slow, and
has a schedule of its own.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from elasticity_assets.automation.names import STANDING_ALONE, Names
from elasticity_assets.automation.partitions import partition_keys
from elasticity_assets.ingestion import find_files
from elasticity_assets.settings import CrossCheckSettings, SalesSettings, ScheduleSettings, SettingsError
from elasticity_assets.warehouse.file import Warehouse

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
NO_FOLLOW_UP = "elasticity/no_follow_up"
"""Tag of ingest runs whose refit somebody else starts."""

_SALES = ("raw_sales", "weekly_sales")
_NUTS_CROSS_CHECK = "nuts_cross_check"


@dataclass(frozen=True)
class Jobs:
    """The jobs of a project.

    Attributes
    ----------
    ingest : job
        Takes in sales; keeps the partitions in step.
    refit : job
        Fits, pools and publishes.
    cross_check : job
        Holds a few posteriors against NUTS.
    check_ages : job
        Looks at the published file's age.
    """

    ingest: UnresolvedAssetJobDefinition
    refit: UnresolvedAssetJobDefinition
    cross_check: UnresolvedAssetJobDefinition
    check_ages: UnresolvedAssetJobDefinition


def jobs_of(names: Names, assets: Iterable[str]) -> Jobs:
    """Make the jobs of a project.

    Each runs in one process: one a step would compile each fit anew, and give the run's lock away in between.

    Parameters
    ----------
    names : Names
    assets : iterable of str
        All of its assets, without the prefix.
    """

    def job(name: str, selection: dg.AssetSelection, description: str) -> UnresolvedAssetJobDefinition:
        return dg.define_asset_job(
            names.of(name), selection, description=description, executor_def=dg.in_process_executor
        )

    def of_assets(chosen: Iterable[str]) -> dg.AssetSelection:
        return dg.AssetSelection.assets(*map(names.key, chosen))

    recent = dg.AssetCheckKey(names.key("published_elasticity"), "every_category_is_recent")
    return Jobs(
        job(
            "ingest",
            of_assets(_SALES),
            "Takes in new and changed sales files; keeps the category partitions in step.",
        ),
        job(
            "refit",
            of_assets(sorted(set(assets) - {*_SALES, _NUTS_CROSS_CHECK})),
            "Fits categories, pools them, and publishes elasticity.duckdb.",
        ),
        job(
            "cross_check",
            of_assets([_NUTS_CROSS_CHECK]),
            "Holds a few categories' posteriors against NUTS, in turns.",
        ),
        job(
            "check_ages",
            dg.AssetSelection.checks(recent),
            "Looks for categories whose published numbers or sales are old.",
        ),
    )


def all_categories(partition_keys: Sequence[str]) -> dict[str, str]:
    """Tags that let one run of `refit` cover all these partitions.

    Parameters
    ----------
    partition_keys : sequence of str
        All partitions in their own order, at least one.
    """
    return {RANGE_START: partition_keys[0], RANGE_END: partition_keys[-1]}


def refit_config(
    *, changed_only: bool, categories: Sequence[str] = (), names: Names = STANDING_ALONE
) -> dict[str, Any]:
    """Run config of `refit`: which categories are fitted (`assets.posterior.FitConfig`)."""
    config = {"changed_only": changed_only, "categories": list(categories)}
    return {"ops": {names.of("category_posterior"): {"config": config}}}


def refit_sensor(jobs: Jobs, warehouse: Warehouse, names: Names) -> dg.SensorDefinition:
    """Start one refit of all categories after each ingest; only what changed is fitted anew."""

    @dg.run_status_sensor(
        name=names.of("refit_after_ingest"),
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[jobs.ingest],
        request_job=jobs.refit,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=15,
        description="Starts one refit of all categories after each ingest; only what changed is fitted anew.",
    )
    def refit_after_ingest(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        if NO_FOLLOW_UP in context.dagster_run.tags:
            return dg.SkipReason("the `elasticity` command refits by itself")
        keys = partition_keys(context.instance, warehouse)
        if not keys:
            return dg.SkipReason("no category has sales")
        return dg.RunRequest(
            run_key=context.dagster_run.run_id,
            tags=all_categories(keys),
            run_config=refit_config(changed_only=True, names=names),
        )

    return refit_after_ingest


def with_freshness_policy(spec: dg.AssetSpec, schedule: ScheduleSettings) -> dg.AssetSpec:
    """Let an asset of the weekly work fail its policy where it is older than `schedule.max_age_days`."""
    if spec.key.path[-1] == _NUTS_CROSS_CHECK:
        return spec
    policy = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=schedule.max_age_days))
    return spec.replace_attributes(freshness_policy=policy)


def weekly_schedule(jobs: Jobs, settings: ScheduleSettings, names: Names) -> dg.ScheduleDefinition:
    """Start `ingest` when the settings say; the sensor takes over from there."""
    return dg.ScheduleDefinition(
        name=names.of("weekly_refit"),
        job=jobs.ingest,
        cron_schedule=settings.cron,
        execution_timezone=settings.timezone,
        description="Takes in the sales files; the sensor refit_after_ingest then refits and publishes.",
    )


def daily_age_check(jobs: Jobs, settings: ScheduleSettings, names: Names) -> dg.ScheduleDefinition:
    """Start `check_ages` every day: a refit that never comes makes no check of its own."""
    return dg.ScheduleDefinition(
        name=names.of("daily_age_check"),
        job=jobs.check_ages,
        cron_schedule="0 8 * * *",
        execution_timezone=settings.timezone,
        description="Looks for categories whose published numbers or sales are old.",
    )


def cross_check_schedule(
    jobs: Jobs, settings: CrossCheckSettings, schedule: ScheduleSettings, names: Names
) -> dg.ScheduleDefinition:
    """Start `cross_check` when the settings say."""
    return dg.ScheduleDefinition(
        name=names.of("regular_cross_check"),
        job=jobs.cross_check,
        cron_schedule=settings.cron,
        execution_timezone=schedule.timezone,
        run_config={"ops": {names.of(_NUTS_CROSS_CHECK): {"config": {"most": settings.categories}}}},
        description="Holds a few categories' posteriors against NUTS, those first that were not checked for longest.",
    )


def sales_sensor(jobs: Jobs, settings: SalesSettings, names: Names) -> dg.SensorDefinition:
    """Start `ingest` when there are new sales: files, or an asset that was materialized."""
    return (sales_asset_sensor if settings.asset else sales_files_sensor)(jobs, settings, names)


def sales_asset_sensor(jobs: Jobs, settings: SalesSettings, names: Names) -> dg.SensorDefinition:
    """Start `ingest` each time when the asset that the sales come from was materialized."""

    @dg.asset_sensor(
        name=names.of("new_sales_asset"),
        asset_key=dg.AssetKey(settings.asset),
        job=jobs.ingest,
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts ingest each time when {'/'.join(settings.asset)} was materialized.",
    )
    def new_sales_asset(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest:
        return dg.RunRequest()

    return new_sales_asset


def sales_files_sensor(jobs: Jobs, settings: SalesSettings, names: Names) -> dg.SensorDefinition:
    """Start `ingest` when sales files are new or changed, once they have stayed the same from one look to the next."""

    @dg.sensor(
        name=names.of("new_sales_files"),
        job=jobs.ingest,
        minimum_interval_seconds=60,
        description="Looks at the sales files each minute; starts ingest when they are new or changed, and at rest.",
    )
    def new_sales_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        files = _files_there([*settings.path, *(path for join in settings.join for path in join.path)])
        if not files:
            return dg.SkipReason(f"there is no file {', '.join(settings.path)}")
        now, before = _fingerprint(files), json.loads(context.cursor or "{}")
        if now == before.get("requested"):
            return dg.SkipReason("no sales file is new or changed")
        if now != before.get("seen"):
            return dg.SensorResult(
                skip_reason=dg.SkipReason(
                    "sales files are new or changed; if they stay so, the next look starts ingest"
                ),
                cursor=json.dumps({**before, "seen": now}),
            )
        # Without a key: files that are put back as they were are to be taken in again.
        return dg.SensorResult([dg.RunRequest()], cursor=json.dumps({"requested": now}))

    return new_sales_files


def _files_there(patterns: Iterable[str]) -> list[str]:
    """Files that any of the patterns names; one whose file has gone hides none of the others."""
    found: list[str] = []
    for pattern in patterns:
        with suppress(SettingsError):
            found += find_files([pattern])
    return found


def _fingerprint(files: Iterable[str]) -> str:
    """Hash of the files' names, sizes and times of change."""
    digest = hashlib.sha256()
    for file in sorted(files):
        with suppress(FileNotFoundError):
            found = os.stat(file)
            digest.update(f"{file}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
