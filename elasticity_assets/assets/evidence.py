"""heldout_evaluation, split_samples and nuts_cross_check: what each category's fit is worth."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import dagster as dg
import pandas as pd
from pydantic import Field

from elasticity_assets import plots
from elasticity_assets.assets.metadata import OWNERS, column_schema, row_count
from elasticity_assets.checks import evidence as checks
from elasticity_assets.fits import FitRecord, of_fit, readable_fit, unpack_fit, utc_now
from elasticity_assets.inference.arrays import pack, unpack
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.scores import HeldOut
from elasticity_assets.inference.split_samples import SplitSamples
from elasticity_assets.partitions import CATEGORIES, category_of
from elasticity_assets.resources.array_store import ArrayStore, StoredArrays
from elasticity_assets.resources.svi_fit import SviFit
from elasticity_assets.resources.warehouse import Warehouse
from elasticity_assets.schema import create_table, replace_rows
from elasticity_assets.sql import statement
from elasticity_assets.tables import NUTS_CROSS_CHECK

GROUP = "3_evidence"

Judged = TypeVar("Judged", HeldOut, SplitSamples)


class _Task(NamedTuple):
    """A category to judge: its partition, what it was fitted to, and the fit."""

    key: str
    panel: Panel
    posterior: CategoryPosterior
    record: FitRecord


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
    svi_fit: SviFit,
    array_store: dg.ResourceParam[ArrayStore],
) -> dg.MaterializeResult:
    """Predict every product-period from the others, and the last ones as a forecast, beside simple rivals.

    Each product-period is left out once, in ten folds. A category whose fit has not changed keeps its evaluation.
    """
    judged, failed = _judge(
        context, model_input, category_posterior, svi_fit, array_store, HeldOut, svi_fit.evaluate, _scores
    )
    found = {category: scores.summary() for category, scores in judged}
    return dg.MaterializeResult(
        check_results=[
            checks.evidence_was_found("heldout_evaluation", failed),
            checks.heldout_coverage(found),
            checks.heldout_coverage_by_volume(found),
            checks.heldout_coverage_by_product(found),
            checks.predicts_no_worse_than_rivals(found),
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
    svi_fit: SviFit,
    array_store: dg.ResourceParam[ArrayStore],
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
            checks.evidence_was_found("split_samples", failed),
            checks.split_samples_agree(found),
            checks.elasticities_do_not_drift(found),
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
    svi_fit: SviFit,
    warehouse: Warehouse,
) -> dg.MaterializeResult:
    """Hold a few categories' posteriors against NUTS, in turns: slow, so on a schedule of its own.

    The next refit publishes what was found.
    """
    with warehouse.write() as connection:
        connection.execute(create_table(NUTS_CROSS_CHECK))
        checked = dict(connection.execute(statement("cross_checked")).fetchall())
    keys = [key for key in category_posterior if key in model_input]
    if config.categories:
        keys = [key for key in keys if category_of(key) in config.categories]
    else:
        keys = sorted(keys, key=lambda key: (checked.get(category_of(key), datetime.min), key))[: config.most]
    found, rows = [], []
    for key in keys:
        posterior, record = unpack_fit(category_posterior[key])
        found.append(svi_fit.cross_check(unpack(Panel, model_input[key]), posterior))
        context.log.info(f"{posterior.category!r}: {found[-1]}")
        rows.append({**asdict(found[-1]), "checked_at": utc_now(), "fit_id": record.fit_id})
    if not found:
        raise dg.Failure("no such category has a fit; materialize category_posterior", allow_retries=False)
    with warehouse.write() as connection:
        replace_rows(connection, NUTS_CROSS_CHECK, pd.DataFrame(rows), [check.category for check in found])
    return dg.MaterializeResult(
        metadata={"categories": ", ".join(check.category for check in found), **row_count(len(found))},
        check_results=[checks.posteriors_match_nuts(found)],
    )


def _judge(
    context: dg.AssetExecutionContext,
    model_input: StoredArrays,
    category_posterior: StoredArrays,
    svi_fit: SviFit,
    array_store: ArrayStore,
    kind: type[Judged],
    judge: Callable[[Panel, CategoryPosterior], Judged],
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

    def to_judge() -> Iterator[_Task]:
        for key in context.partition_keys:
            stored = readable_fit(category_posterior[key]) if key in category_posterior else None
            if stored is None:
                continue  # never fitted
            posterior, record = stored
            before = array_store.read(context.asset_key, key)
            if before is not None and of_fit(kind, {key: before}, key, record) is not None:
                found[posterior.category] = key
                continue
            yield _Task(key, unpack(Panel, model_input[key]), posterior, record)

    with closing(
        svi_fit.side_by_side(lambda task: judge(task.panel, task.posterior), to_judge())
    ) as judgements:
        for task, done in judgements:
            category = task.posterior.category
            try:
                judged = done.result()
            except Exception as error:
                failed[category] = f"{type(error).__name__}: {' '.join(str(error).split())}"
                context.log.exception(f"category {category!r} could not be judged")
                continue
            found[category] = task.key
            array_store.write(context.asset_key, {**pack(judged), **pack(task.record)}, task.key)
            context.add_asset_metadata(metadata(judged), partition_key=task.key)

    def read() -> Iterator[tuple[str, Judged]]:
        for category, key in sorted(found.items()):
            yield category, unpack(kind, array_store.read(context.asset_key, key) or {})

    return read(), failed


def _scores(heldout: HeldOut) -> dict[str, Any]:
    folds, forecast = heldout.folds(), heldout.forecast()
    return {
        "product-periods predicted": len(folds.units),
        "coverage of 50% intervals": folds.coverage(0.5),
        "coverage of 90% intervals": folds.coverage(),
        "log score": folds.log_score(),
        "WAPE of the median": folds.wape(),
        "coverage of 90% intervals, last periods": forecast.coverage(),
        "PIT": plots.pit(folds.pit, heldout.category),
        "coverage by product": plots.coverage_by_product(*folds.coverage_by_product(), heldout.category),
    }


def _differences(samples: SplitSamples) -> dict[str, Any]:
    return {
        "products that agree within 90% intervals": samples.agreement(),
        "products that drift": int(samples.drifting().sum()),
        "category's elasticity, second half less first": (
            f"{samples.category_drift:.2f} (sd {samples.category_drift_sd:.2f})"
        ),
    }
