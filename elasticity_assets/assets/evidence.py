"""heldout_evaluation, split_samples, confounding_tests and nuts_cross_check: what each category's fit is worth."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg
import pandas as pd
from pydantic import Field

from elasticity_assets.assets.column_lineage import own_column_lineage
from elasticity_assets.assets.metadata import (
    OWNERS,
    add_partition_metadata,
    column_schema,
    rounded,
    stored_rows,
)
from elasticity_assets.automation.partitions import CATEGORIES, category_of
from elasticity_assets.checks import evidence as checks
from elasticity_assets.fitting.array_store import ArrayStore, StoredArrays, UnreadableArraysError
from elasticity_assets.fitting.fitter import FittedCategory, Fitter
from elasticity_assets.fitting.packing import pack, unpack
from elasticity_assets.fitting.side_by_side import fit_errors, prepare_jax, work_on_each
from elasticity_assets.fitting.stored_fits import (
    FitRecord,
    fit_record,
    is_of_fit,
    panel_hash,
    readable_fit,
    unpack_panels,
    unpack_posterior,
)
from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.ingestion.panels import CategoryPanels
from elasticity_assets.published.verdict import verdict
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.schema import replace_rows
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.warehouse.tables import NUTS_CROSS_CHECK
from elasticity_assets.words import reason, utc_now

if TYPE_CHECKING:  # it imports jax
    from elasticity_assets.inference.judging.cross_check import CrossCheck

GROUP = "3_evidence"
_CHECK_COLUMNS = (
    "category",
    "checked_at",
    "mean_difference_rms",
    "sd_ratio_median",
    "r_hat",
    "effective_sample_size",
    "divergences",
)

Judged = TypeVar("Judged", HeldOut, SplitSamples, ConfoundingTests)


class NotOfThisFitError(ValueError):
    """The model input is not what the category was fitted to: its last fit failed, or was not asked for."""


def fitted_panels(model_input: StoredArrays, key: str, record: FitRecord, svi_fit: Fitter) -> CategoryPanels:
    """Read what a category was fitted to.

    Raises
    ------
    NotOfThisFitError
        If sales or settings have changed since, or the input is missing, unreadable, or of another version.
    """
    if key not in model_input:
        raise NotOfThisFitError("no model input is stored; materialize model_input")
    try:
        given = model_input[key]
        panels, inputs_hash = unpack_panels(given), svi_fit.inputs_hash(panel_hash(given))
    except ValueError as error:
        raise NotOfThisFitError(str(error)) from None
    if inputs_hash != record.inputs_hash:
        raise NotOfThisFitError("sales or settings changed since the category was fitted; refit it")
    return panels


@dg.asset(
    group_name=GROUP,
    kinds={"jax"},
    owners=OWNERS,
    io_manager_key="array_store",
    partitions_def=CATEGORIES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="gpu",
    check_specs=checks.HELDOUT_EVALUATION,
)
def heldout_evaluation(
    context: dg.AssetExecutionContext,
    model_input: StoredArrays,
    category_posterior: StoredArrays,
    svi_fit: dg.ResourceParam[Fitter],
    array_store: dg.ResourceParam[ArrayStore],
    warehouse: Warehouse,  # for its lock
) -> dg.MaterializeResult:
    """Predict every product-period from the others, and the last ones as a forecast, beside simple rivals.

    Each product-period is left out once, in ten folds, or five where there are
    more than a hundred categories. A category whose fit has not changed keeps its evaluation.
    """
    judged, failed = _judge(
        context,
        model_input,
        category_posterior,
        svi_fit,
        array_store,
        HeldOut,
        partial(svi_fit.evaluate, categories=len(context.partition_keys)),
        _scores,
    )
    found = {category: scores.summary() for category, scores in judged}
    return dg.MaterializeResult(
        check_results=[
            checks.evidence_was_found("heldout_evaluation", found, failed),
            checks.heldout_coverage(found),
            checks.heldout_coverage_by_volume(found),
            checks.heldout_coverage_by_product(found),
            checks.predicts_no_worse_than_rivals(found),
            checks.forecast_coverage(found),
            checks.forecasts_no_worse_than_rivals(found),
        ]
    )


@dg.asset(
    group_name=GROUP,
    kinds={"jax"},
    owners=OWNERS,
    io_manager_key="array_store",
    partitions_def=CATEGORIES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="gpu",
    check_specs=checks.SPLIT_SAMPLES,
)
def split_samples(
    context: dg.AssetExecutionContext,
    model_input: StoredArrays,
    category_posterior: StoredArrays,
    svi_fit: dg.ResourceParam[Fitter],
    array_store: dg.ResourceParam[ArrayStore],
    warehouse: Warehouse,  # for its lock
) -> dg.MaterializeResult:
    """Compare elasticities from alternate blocks of 13 weeks, and from the first half with the second (drift).

    A category whose fit has not changed keeps its comparison.
    """
    judged, failed = _judge(
        context,
        model_input,
        category_posterior,
        svi_fit,
        array_store,
        SplitSamples,
        svi_fit.compare_samples,
        _differences,
    )
    found = dict(judged)
    return dg.MaterializeResult(
        check_results=[
            checks.evidence_was_found("split_samples", found, failed),
            checks.split_samples_agree(found),
            checks.elasticities_do_not_drift(found),
        ]
    )


@dg.asset(
    group_name=GROUP,
    kinds={"numpy"},
    owners=OWNERS,
    io_manager_key="array_store",
    partitions_def=CATEGORIES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=checks.CONFOUNDING_TESTS,
)
def confounding_tests(
    context: dg.AssetExecutionContext,
    model_input: StoredArrays,
    category_posterior: StoredArrays,
    svi_fit: dg.ResourceParam[Fitter],
    array_store: dg.ResourceParam[ArrayStore],
    warehouse: Warehouse,  # for its lock
) -> dg.MaterializeResult:
    """Test whether prices follow demand: by prices to come, and by costs and random prices where there are any.

    A category whose fit has not changed keeps its tests.
    """
    judged, failed = _judge(
        context,
        model_input,
        category_posterior,
        svi_fit,
        array_store,
        ConfoundingTests,
        svi_fit.look_for_confounding,
        _confounding,
    )
    found = dict(judged)
    return dg.MaterializeResult(
        check_results=[
            checks.evidence_was_found("confounding_tests", found, failed),
            checks.prices_do_not_follow_demand(found),
        ]
    )


class CrossCheckConfig(dg.Config):
    """Which categories are checked.

    Attributes
    ----------
    categories : list of str
        These; empty means those that were not checked for longest.
    most : int
        How many of them.
    """

    categories: list[str] = Field(default=[])
    most: int = 3


@dg.asset(
    group_name=GROUP,
    kinds={"jax", "duckdb"},
    owners=OWNERS,
    ins={
        name: dg.AssetIn(partition_mapping=dg.AllPartitionMapping())
        for name in ("model_input", "category_posterior")
    },
    pool="gpu",
    check_specs=checks.NUTS_CROSS_CHECK,
    metadata=column_schema(NUTS_CROSS_CHECK),
)
def nuts_cross_check(
    context: dg.AssetExecutionContext,
    config: CrossCheckConfig,
    model_input: StoredArrays,
    category_posterior: StoredArrays,
    svi_fit: dg.ResourceParam[Fitter],
    warehouse: Warehouse,
) -> dg.MaterializeResult:
    """Hold a few categories' posteriors against NUTS, in turns: slow, so on a schedule of its own.

    The next refit publishes what was found.
    """
    prepare_jax(svi_fit.cache)
    with warehouse.read() as connection:
        checked = dict(connection.execute(statement("cross_checked")).fetchall())
    keys = [key for key in category_posterior if key in model_input]
    if config.categories:
        keys = [key for key in keys if category_of(key) in config.categories]
    else:
        keys = sorted(keys, key=lambda key: (checked.get(category_of(key), datetime.min), key))
    found: list[CrossCheck] = []
    failed: dict[str, str] = {}
    for key in keys:
        if len(found) == config.most and not config.categories:
            break
        try:
            fit = readable_fit(category_posterior[key])
            if fit is None:
                continue
            posterior, record = fit
            panels = fitted_panels(model_input, key, record, svi_fit)
            if panels.zoned is not None and not config.categories:
                continue  # `cross_check` refuses it, and says why
            check = svi_fit.cross_check(FittedCategory(key, panels.panel, posterior, record, panels.zoned))
        except fit_errors() as error:  # the next one is checked in its place
            failed[category_of(key)] = reason(error)
            context.log.exception(f"category {category_of(key)!r} could not be checked")
            continue
        found.append(check)
        context.log.info(f"{check}")
        row = pd.DataFrame([{**asdict(check), "checked_at": utc_now(), "fit_id": record.fit_id}])
        warehouse.in_transaction(
            partial(replace_rows, table=NUTS_CROSS_CHECK, rows=row, categories=[check.category])
        )
    if not found:
        why = next(iter(failed.values()), "no such category has a fit; materialize category_posterior")
        raise dg.Failure(f"no category could be checked: {why}", allow_retries=False)
    with warehouse.read() as connection:
        rows = stored_rows(connection, NUTS_CROSS_CHECK, _CHECK_COLUMNS)
    return dg.MaterializeResult(
        metadata={
            "categories": ", ".join(check.category for check in found),
            **rows,
            **own_column_lineage(context, NUTS_CROSS_CHECK.name),
        },
        check_results=[checks.posteriors_match_nuts(found, failed)],
    )


def _judge(
    context: dg.AssetExecutionContext,
    model_input: StoredArrays,
    category_posterior: StoredArrays,
    svi_fit: Fitter,
    array_store: ArrayStore,
    kind: type[Judged],
    judge: Callable[[FittedCategory], Judged],
    metadata: Callable[[Judged], dict[str, Any]],
) -> tuple[Iterator[tuple[str, Judged]], dict[str, str]]:
    """Judge the categories whose fit is new, side by side, and store what was found.

    Returns
    -------
    judged : iterator of (category, what was found)
        Of all categories, sorted; each is read as it is asked for.
    failed : dict of category to str
        Why it could not be judged; the others are.
    """
    found: dict[str, str] = {}
    failed: dict[str, str] = {}

    def to_judge() -> Iterator[FittedCategory]:
        for key in context.partition_keys:
            try:
                fit = category_posterior.get(key, {})
                record = fit_record(fit)
                if record is None:
                    continue  # never fitted
                stored = array_store.read_whole(context.asset_key, key, context.log.warning) or {}
                if is_of_fit(kind, stored, record):
                    found[category_of(key)] = key
                    continue
                panels = fitted_panels(model_input, key, record, svi_fit)
                posterior = unpack_posterior(fit)
            except (NotOfThisFitError, UnreadableArraysError) as error:
                failed[category_of(key)] = reason(error)
                continue
            yield FittedCategory(key, panels.panel, posterior, record, panels.zoned)

    def keep(task: FittedCategory, judged: Judged) -> None:
        array_store.write(context.asset_key, {**pack(judged), **pack(task.record)}, task.key)
        found[task.panel.category] = task.key
        add_partition_metadata(context, task.key, metadata(judged))

    work_on_each(svi_fit, judge, to_judge(), keep, failed)

    def read() -> Iterator[tuple[str, Judged]]:
        for category, key in sorted(found.items()):
            yield category, unpack(kind, array_store.read(context.asset_key, key) or {})

    return read(), failed


def _scores(heldout: HeldOut) -> dict[str, Any]:
    folds, forecast = heldout.folds(), heldout.forecast()
    return {
        "product-periods predicted": len(folds.units),
        "coverage of 50% intervals": rounded(folds.coverage(0.5)),
        "coverage of 90% intervals": rounded(folds.coverage()),
        "log score": rounded(folds.log_score()),
        "WAPE of the median": rounded(folds.wape()),
        "coverage of 90% intervals, last periods": rounded(forecast.coverage()),
    }


def _confounding(tests: ConfoundingTests) -> dict[str, Any]:
    return {"verdict": verdict(tests), "effect of prices to come, in standard errors": rounded(tests.lead_z)}


def _differences(samples: SplitSamples) -> dict[str, Any]:
    return {
        "products that agree within 90% intervals": rounded(samples.agreement()),
        "products that drift": int(samples.drifting().sum()),
        "category's elasticity, second half less first": (
            f"{samples.category_drift:.2f} (sd {samples.category_drift_sd:.2f})"
        ),
    }
