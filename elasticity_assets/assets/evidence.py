"""heldout_evaluation and split_samples: what each category's fit is worth on sales it has not seen."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

import dagster as dg

from elasticity_assets import plots
from elasticity_assets.assets.metadata import OWNERS
from elasticity_assets.checks import evidence as checks
from elasticity_assets.fits import FitRecord, of_fit, readable_fit
from elasticity_assets.inference.arrays import pack, unpack
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.scores import HeldOut
from elasticity_assets.inference.split_samples import SplitSamples
from elasticity_assets.partitions import CATEGORIES
from elasticity_assets.resources.array_store import ArrayStore, StoredArrays
from elasticity_assets.resources.svi_fit import SviFit

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
    found = _judge(
        context, model_input, category_posterior, svi_fit, array_store, HeldOut, svi_fit.evaluate, _scores
    )
    return dg.MaterializeResult(
        check_results=[
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
    found = _judge(
        context,
        model_input,
        category_posterior,
        svi_fit,
        array_store,
        SplitSamples,
        svi_fit.compare_samples,
        _differences,
    )
    return dg.MaterializeResult(
        check_results=[checks.split_samples_agree(found), checks.elasticities_do_not_drift(found)]
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
) -> dict[str, Judged]:
    """Judge the categories whose fit is new, side by side, and store what was found; give that of all, by category."""
    found: dict[str, Judged] = {}

    def to_judge() -> Iterator[_Task]:
        for key in context.partition_keys:
            stored = readable_fit(category_posterior[key]) if key in category_posterior else None
            if stored is None:
                continue  # never fitted
            posterior, record = stored
            before = array_store.read(context.asset_key, key)
            known = of_fit(kind, {} if before is None else {key: before}, key, record)
            if known is not None:
                found[posterior.category] = known
                continue
            yield _Task(key, unpack(Panel, model_input[key]), posterior, record)

    with closing(
        svi_fit.side_by_side(lambda task: judge(task.panel, task.posterior), to_judge())
    ) as judgements:
        for task, done in judgements:
            judged = found[task.posterior.category] = done.result()
            array_store.write(context.asset_key, {**pack(judged), **pack(task.record)}, task.key)
            context.add_asset_metadata(metadata(judged), partition_key=task.key)
    return dict(sorted(found.items()))


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
