"""The one Definitions object: what Dagster loads."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import dagster as dg

from elasticity_assets.assets import (
    elasticity,
    evidence,
    model_input,
    posterior,
    pricing,
    promotion,
    published,
    report,
    sales,
)
from elasticity_assets.assets.code_version import with_code_version
from elasticity_assets.assets.column_lineage import with_column_lineage
from elasticity_assets.automation.failure_webhook import failure_webhook
from elasticity_assets.automation.jobs import (
    cross_check_schedule,
    daily_age_check,
    jobs_of,
    refit_sensor,
    sales_sensor,
    weekly_schedule,
    with_freshness_policy,
)
from elasticity_assets.automation.names import STANDING_ALONE, Names, under_prefix
from elasticity_assets.automation.partitions import Categories, categories_of
from elasticity_assets.fitting.array_store import ArrayStore
from elasticity_assets.fitting.side_by_side import fitter_resource
from elasticity_assets.settings import Settings, load_settings
from elasticity_assets.warehouse.of_settings import warehouse_of


def build_definitions(
    settings: Settings,
    resource_overrides: Mapping[str, Any] | None = None,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
    names: Names = STANDING_ALONE,
) -> dg.Definitions:
    """Bind assets, jobs, schedules, sensors and resources to settings.

    Parameters
    ----------
    settings : Settings
    resource_overrides : mapping of str to resource, optional
        Instead of those that the settings describe: settings, warehouse, unlocked_warehouse, array_store, svi_fit.
    loggers : mapping of str to LoggerDefinition, optional
        Instead of Dagster's own.
    names : Names
        With a prefix, they may be merged with other definitions.
    """
    warehouse = warehouse_of(settings)
    resources = {
        "settings": settings,
        "warehouse": warehouse,
        "unlocked_warehouse": warehouse_of(settings, locks_runs=False),
        "array_store": ArrayStore(folder=settings.arrays_folder),
        "svi_fit": fitter_resource(settings),
        **(resource_overrides or {}),
    }
    written = [
        sales.raw_sales_of(settings.sales) if asset.keys == sales.raw_sales.keys else asset
        for asset in dg.load_assets_from_modules(
            [sales, model_input, posterior, evidence, elasticity, promotion, pricing, published, report]
        )
        if isinstance(asset, dg.AssetsDefinition)
    ]
    assets = [
        with_code_version(asset)
        .map_asset_specs(partial(with_freshness_policy, schedule=settings.schedule))
        .map_asset_specs(partial(with_partitions, categories=categories_of(warehouse)))
        .map_asset_specs(partial(with_column_lineage, names=names, controls=settings.sales.controls))
        for asset in written
    ]
    jobs = jobs_of(names, [key.path[-1] for asset in assets for key in asset.keys])
    return dg.Definitions(
        assets=under_prefix([*assets, published.every_category_is_recent], names),
        jobs=[jobs.ingest, jobs.refit, jobs.cross_check, jobs.check_ages],
        schedules=[
            weekly_schedule(jobs, settings.schedule, names),
            cross_check_schedule(jobs, settings.cross_check, settings.schedule, names),
            daily_age_check(jobs, settings.schedule, names),
        ],
        sensors=[
            sales_sensor(jobs, settings.sales, names),
            refit_sensor(jobs, warehouse, names),
            # It tells of all runs, whosever: the owner of a project with other assets may have a way of telling.
            *([] if names.prefix else [failure_webhook]),
        ],
        # Where `settings.executor` is Ray, `svi_fit` spreads the work on categories over its cluster.
        executor=None if names.prefix else dg.in_process_executor,
        resources={names.of(key): resource for key, resource in resources.items()},
        loggers=loggers,
    )


def with_partitions(spec: dg.AssetSpec, categories: Categories) -> dg.AssetSpec:
    """Let a partitioned asset have these partitions."""
    return spec.replace_attributes(partitions_def=categories) if spec.partitions_def else spec


@dg.definitions
def defs() -> dg.Definitions:
    """Load the settings in force."""
    return build_definitions(load_settings())
