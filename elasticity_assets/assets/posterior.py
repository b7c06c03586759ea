"""category_posterior and hierarchy: every category fitted alone, then all pooled."""

import time
from collections.abc import Iterator
from functools import partial

import dagster as dg
import numpy as np
from pydantic import Field

from elasticity_assets.assets.metadata import (
    OWNERS,
    add_partition_metadata,
    elasticity_text,
    model_graph,
    rounded,
)
from elasticity_assets.automation.partitions import CATEGORIES, category_of, partition_key
from elasticity_assets.checks import fit as checks
from elasticity_assets.fitting.array_store import Arrays, ArrayStore, StoredArrays, UnreadableArraysError
from elasticity_assets.fitting.fitter import CategoryToFit, Fitter
from elasticity_assets.fitting.packing import pack, unpack
from elasticity_assets.fitting.side_by_side import work_on_each
from elasticity_assets.fitting.stored_fits import (
    POOLED_FITS,
    FitRecord,
    Posterior,
    fit_record,
    new_record,
    of_same_products,
    pack_fit,
    panel_hash,
    products_of,
    unpack_panels,
    unpack_posterior,
)
from elasticity_assets.inference.hierarchy import CategoryMessage, pool
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.summaries import category_summary
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.fit_failures import record_outcomes
from elasticity_assets.words import reason

GROUP = "2_fit"


class FitConfig(dg.Config):
    """Which of a run's categories are fitted.

    Attributes
    ----------
    changed_only : bool
        Fit only where sales or settings changed since the last fit, starting from that fit.
    categories : list of str
        Fit only these, whether they changed or not; empty means no restriction. Of the others only those
        whose products are not the last fit's are fitted: its numbers would not match their sales.
    """

    changed_only: bool = False
    categories: list[str] = Field(default=[])


@dg.asset(
    group_name=GROUP,
    kinds={"jax"},
    owners=OWNERS,
    io_manager_key="array_store",
    partitions_def=CATEGORIES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="gpu",
    check_specs=checks.CATEGORY_POSTERIOR,
    metadata={"model": model_graph()},
)
def category_posterior(
    context: dg.AssetExecutionContext,
    config: FitConfig,
    model_input: StoredArrays,
    svi_fit: dg.ResourceParam[Fitter],
    array_store: dg.ResourceParam[ArrayStore],
    warehouse: Warehouse,
) -> dg.MaterializeResult:
    """Fit each category alone: the posterior of its products' elasticities and of its own.

    A fit that fails leaves the category's last posterior as it was, and is recorded; the run goes on.
    """
    keys = context.partition_keys
    fitted: dict[str, CategoryPosterior] = {}
    kept: list[str] = []
    up_to_date: list[str] = []
    failed: dict[str, str] = {}

    def to_fit() -> Iterator[CategoryToFit]:
        for key in keys:
            try:
                given = model_input.get(key, {})
                stored = array_store.read_whole(context.asset_key, key, context.log.warning) or {}
                inputs_hash, last = svi_fit.inputs_hash(_panel_hash(given)), fit_record(stored)
                changed = last is None or last.inputs_hash != inputs_hash
                wanted = last is None or _wanted(config, key, given, stored, changed=changed)
                panels = unpack_panels(given) if wanted else None
                start = unpack_posterior(stored) if wanted and last and config.changed_only else None
            except (
                ValueError
            ) as error:  # what is stored of this category is unreadable, or of another version
                failed[category_of(key)] = reason(error)
                continue
            if panels is not None:
                yield CategoryToFit(key, panels.panel, start, inputs_hash, panels.zoned)
                continue
            kept.append(category_of(key))
            if changed:
                why = "not among the categories to fit, though sales or settings changed"
            else:
                up_to_date.append(category_of(key))
                why = "neither sales nor settings changed"
            add_partition_metadata(context, key, {"fit": f"kept: {why}"})

    def keep(task: CategoryToFit, posterior: Posterior) -> None:
        record = new_record(task.inputs_hash, task.panel.n_obs)
        array_store.write(context.asset_key, pack_fit(posterior, record), task.key)
        fitted[task.panel.category] = products_of(posterior)
        metadata = _metadata(products_of(posterior), record)
        if isinstance(posterior, ZonedPosterior):
            metadata["zones"] = len(posterior.zone)
        add_partition_metadata(context, task.key, metadata)

    next_ones = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    fit = partial(
        svi_fit.fit_category,
        judged=len(keys) if "heldout_evaluation" in next_ones else 0,
        two_slopes="promotion_elasticity" in next_ones,
    )
    work_on_each(svi_fit, fit, to_fit(), keep, failed, in_threads=svi_fit.by_natural_gradient)
    for category, why in failed.items():
        add_partition_metadata(context, partition_key(category), {"fit": f"failed: {why}"})
    warehouse.in_transaction(partial(record_outcomes, fitted=[*fitted, *up_to_date], failed=failed))
    if failed and not any(_has_fit(array_store, context.asset_key, key) for key in keys):
        name, why = next(iter(failed.items()))
        raise dg.Failure(f"no category could be fitted; {name!r}: {why}", allow_retries=False)
    return dg.MaterializeResult(
        metadata={"fitted in this run": len(fitted), "kept": len(kept), "failed": len(failed)},
        check_results=[
            checks.fits_succeeded([*fitted, *up_to_date], failed),
            checks.fits_converged(fitted),
            checks.fits_learned(fitted),
        ],
    )


def _has_fit(array_store: ArrayStore, asset: dg.AssetKey, key: str) -> bool:
    try:
        return array_store.read(asset, key) is not None
    except UnreadableArraysError:
        return False


def _panel_hash(given: Arrays) -> str:
    """Read which panel is stored; ValueError, with what to do first, if none is that this version reads."""
    try:
        return panel_hash(given)
    except UnreadableArraysError:
        raise
    except ValueError:
        raise ValueError(
            "its model input is missing, or of an earlier version; materialize model_input first, or run the job refit"
        ) from None


def _wanted(config: FitConfig, key: str, given: Arrays, stored: Arrays, *, changed: bool) -> bool:
    """Whether a category with a fit is fitted, of what is stored of its panel and of that fit."""
    if config.categories:
        return category_of(key) in config.categories or not of_same_products(given, stored)
    return changed or not config.changed_only


def _metadata(posterior: CategoryPosterior, record: FitRecord) -> dict[str, str | int | float]:
    how = posterior.diagnostics
    return {
        "fit": "fitted",
        "fit_id": record.fit_id,
        "engine": how.engine,
        "likelihood": how.likelihood_text,
        "device": how.device,
        "iterations": how.iterations,
        "converged": how.converged,
        "seconds": rounded(how.seconds),
        "warnings": "; ".join(how.warnings) or "none",
        "elasticity, before pooling": elasticity_text(category_summary(posterior)),
    }


@dg.asset(
    group_name=GROUP,
    kinds={"numpy"},
    owners=OWNERS,
    io_manager_key="array_store",
    ins={"category_posterior": dg.AssetIn(partition_mapping=dg.AllPartitionMapping())},
)
def hierarchy(
    context: dg.AssetExecutionContext,
    category_posterior: StoredArrays,
    svi_fit: dg.ResourceParam[Fitter],
    warehouse: Warehouse,  # for its lock
) -> dg.MaterializeResult:
    """Pool the categories: what all of them say of each one, and the global elasticity."""
    began = time.perf_counter()
    # One that another version stored, and whose new fit failed, keeps its last rows and is not pooled.
    fits = [
        (unpack(CategoryMessage, arrays), record)
        for arrays in category_posterior.values()
        if (record := fit_record(arrays))
    ]
    if not fits:
        raise dg.Failure("no category has a fit; materialize category_posterior", allow_retries=False)
    pooled = pool([message for message, _ in fits], svi_fit.priors)
    record = new_record("", sum(fit.n_obs for _, fit in fits))
    return dg.MaterializeResult(
        value={**pack(pooled), **pack(record), POOLED_FITS: np.array([fit.fit_id for _, fit in fits])},
        metadata={
            "categories": len(fits),
            "global elasticity": elasticity_text(pooled.global_summary()),
            "seconds": rounded(time.perf_counter() - began),
        },
    )
