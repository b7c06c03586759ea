"""Weeks of deliveries, through the schedule and the sensor: every one is published, and nothing piles up."""

import gc
import resource
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import jax
import numpy as np
import pandas as pd
import pytest

from elasticity_assets.definitions import build_definitions
from elasticity_assets.fitting.array_store import ArrayStore
from elasticity_assets.fitting.fitter import CategoryToFit, Fitter
from elasticity_assets.fitting.packing import unpack
from elasticity_assets.fitting.side_by_side import side_by_side
from elasticity_assets.fitting.stored_fits import products_of, readable_fit
from elasticity_assets.inference.panel import Panel, padded_size
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.simulate import Simulation, simulate
from elasticity_assets_tests.support.projects import Project, make_project

pytestmark = pytest.mark.slow

FIRST_WEEKS = 52  # delivered before the first refit
CATEGORIES, PRODUCTS = 4, 48
FIRST_TICK = datetime(2025, 1, 6, 6, tzinfo=UTC)  # a Monday
WARMED_UP = 10  # refits after which memory should nearly stand still
MOST_GROWTH = 2.5  # MB a refit


def sales_by_week(weeks: int) -> list[pd.DataFrame]:
    columns, _ = simulate(Simulation(products=PRODUCTS, weeks=weeks, categories=CATEGORIES), seed=0)
    sales = pd.DataFrame(columns)
    sales["regular_price"] = sales["price"]
    return [of_week for _, of_week in sales.groupby("week")]


def scheduled_week(project: Project, number: int) -> dg.ExecuteInProcessResult:
    """Evaluate the schedule's tick, run what it asks for, evaluate the sensor on that, and run what it asks for."""
    definitions = build_definitions(project.settings)
    tick = FIRST_TICK + timedelta(weeks=number)
    with dg.build_schedule_context(instance=project.instance, scheduled_execution_time=tick) as context:
        (request,) = (
            definitions.resolve_schedule_def("weekly_refit").evaluate_tick(context).run_requests or []
        )
    ingest = definitions.resolve_job_def("ingest").execute_in_process(
        instance=project.instance, tags=dict(request.tags)
    )
    with dg.build_run_status_sensor_context(
        sensor_name="refit_after_ingest",
        dagster_instance=project.instance,
        dagster_run=ingest.dagster_run,
        dagster_event=next(event for event in ingest.all_events if event.is_job_success),
    ) as context:
        request = definitions.resolve_sensor_def("refit_after_ingest")(context)
    assert isinstance(request, dg.RunRequest)
    return definitions.resolve_job_def("refit").execute_in_process(
        instance=project.instance, tags=dict(request.tags), run_config=dict(request.run_config)
    )


def stored_fits(project: Project) -> dict[str, CategoryPosterior]:
    store = ArrayStore(folder=project.settings.arrays_folder)
    found = {}
    for key in project.partition_keys():
        fit = readable_fit(store.read(dg.AssetKey("category_posterior"), key) or {})
        if fit:
            found[key] = products_of(fit[0])
    return found


def seconds_of_fits(project: Project, start: Mapping[str, CategoryPosterior]) -> float:
    """Fit the week's panels once more, from an earlier fit or from nothing; programs are compiled by now."""
    store = ArrayStore(folder=project.settings.arrays_folder)
    fitter = Fitter.from_settings(project.settings)
    tasks = []
    for key in project.partition_keys():
        panel = unpack(Panel, store.read(dg.AssetKey("model_input"), key))
        tasks.append(CategoryToFit(key, panel, start.get(key), ""))
    began = time.perf_counter()
    for _, done in side_by_side(fitter, fitter.fit_category, tasks):
        assert done.result().diagnostics.converged
    return time.perf_counter() - began


def files_below(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def megabytes_in_use() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def test_every_week_is_published_and_nothing_piles_up(tmp_path: Path, at_length: bool) -> None:
    weeks = 52 if at_length else 3
    delivered = sales_by_week(FIRST_WEEKS + weeks)
    project = make_project(tmp_path / "weekly", pd.concat(delivered[:FIRST_WEEKS]))
    fits, full_fits, memory, files = [], [], [], []
    width = 0
    for number in range(weeks):
        week = delivered[FIRST_WEEKS + number]
        last = stored_fits(project)
        project.write_sales(week, f"week_{number:02}.csv")
        result = scheduled_week(project, number)
        assert result.success, number
        published = project.published("weekly_sales")
        assert published["period_start"].nunique() == FIRST_WEEKS + number + 1
        assert published["units"].sum() == sum(
            part["units"].sum() for part in delivered[: FIRST_WEEKS + number + 1]
        )
        if width != (width := padded_size(FIRST_WEEKS + number + 1)):
            jax.clear_caches()  # programs of shapes that no later week has; each run's own process ends with it
        memory.append(megabytes_in_use())
        files.append(files_below(project.folder / "data"))
        if last:
            full_fits.append(seconds_of_fits(project, {}))
            fits.append(seconds_of_fits(project, last))
    history, refits = project.published("elasticity_history"), project.published("refits")
    assert len(refits) == weeks
    assert history.groupby("refit_id").size().eq(PRODUCTS).all()
    assert history["refit_id"].nunique() == weeks
    keep = project.settings.keep
    for number, found in enumerate(files):
        kept = min(number + 1, keep)
        assert sum(name.startswith("elasticity.refits/") for name in found) == kept
        assert sum(name.startswith("reports/") for name in found) == kept + 1
    changing = ("elasticity.refits/", "reports/", "compiled/")
    lasting = [{name for name in found if not name.startswith(changing)} for found in files]
    assert all(found == lasting[0] for found in lasting)
    print(
        f"{weeks} weeks: fits from the last week's {sum(fits):.1f} s, from nothing {sum(full_fits):.1f} s, "
        f"{sum(full_fits) / sum(fits):.2f} times as long; memory {np.round(memory).tolist()} MB"
    )
    if at_length:
        # One process, where each run's own ends with it: what its libraries cache, and no week's arrays.
        growth = np.mean(memory[-5:]) - np.mean(memory[WARMED_UP : WARMED_UP + 5])
        assert growth / (weeks - WARMED_UP - 5) < MOST_GROWTH, memory
