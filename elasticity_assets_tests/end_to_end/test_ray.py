"""A refit on a Ray cluster of two machines, its warehouse a DuckLake, publishes what one process does on a file.

Also where one of the machines dies.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml

from elasticity_assets.automation.run_failures import failures
from elasticity_assets.fitting import ray_tasks
from elasticity_assets.settings import load_settings
from elasticity_assets.warehouse import tables
from elasticity_assets.warehouse.ducklake import DuckLakeWarehouse
from elasticity_assets_tests.support import ray_cluster
from elasticity_assets_tests.support.ports import free_port
from elasticity_assets_tests.support.projects import Project, make_project, same_numbers, simulated_sales

pytestmark = [ray_cluster.WANTS_RAY, pytest.mark.slow]

ASSETS = [
    "model_input",
    "category_posterior",
    "heldout_evaluation",
    "split_samples",
    "confounding_tests",
    "hierarchy",
    "product_elasticity",
    "category_elasticity",
    "cross_elasticity",
    "price_scenarios",
    "recommended_prices",
    "recommended_tests",
    "promotion_elasticity",
    "published_elasticity",
]
PUBLISHED = [
    table.name
    for table in (
        tables.PRODUCT_ELASTICITY,
        tables.CATEGORY_ELASTICITY,
        tables.PROMOTION_ELASTICITY,
        tables.FIT_DIAGNOSTICS,
        tables.HELDOUT_SCORES,
    )
]


@pytest.fixture(scope="module")
def sales(at_length: bool) -> pd.DataFrame:
    return simulated_sales(200 if at_length else 12)


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory: pytest.TempPathFactory, sales: pd.DataFrame) -> Project:
    project = make_project(tmp_path_factory.mktemp("one"), sales)
    assert project.ingest().success
    refit(project)
    return project


def on_ray(folder: Path, sales: pd.DataFrame, address: str, warehouse: DuckLakeWarehouse) -> Project:
    return moved_to_ray(make_project(folder, sales), address, warehouse)


def moved_to_ray(project: Project, address: str, warehouse: DuckLakeWarehouse) -> Project:
    """Give the project, before its first run, to a cluster and a DuckLake."""
    project.settings = project.settings.model_copy(
        update={
            "warehouse": warehouse.path,
            "ducklake_files": warehouse.files,
            "executor": "ray",
            "ray": project.settings.ray.model_copy(update={"address": address}),
        }
    )
    assert project.ingest().success
    return project


def of_the_sample(folder: Path) -> Project:
    """The bundled sample's settings and sales, with a warehouse of its own."""
    root = Path(__file__).parents[2]
    settings = yaml.safe_load((root / "elasticity.yaml").read_text())
    settings["sales"]["path"] = str(root / settings["sales"]["path"])
    settings["sales"]["roots"] = str(root)
    folder.mkdir()
    file = folder / "elasticity.yaml"
    file.write_text(yaml.safe_dump(settings))
    return Project(folder, load_settings(file), dg.DagsterInstance.ephemeral(tempdir=str(folder)))


def refit(project: Project) -> None:
    """Up to the published file, without the report."""
    assert project.refit(assets=ASSETS).success


def assert_same(one: Project, other: Project) -> None:
    for name in PUBLISHED:
        mine, theirs = one.published(name), other.published(name)
        numeric = mine.select_dtypes("number").columns.drop("seconds", errors="ignore")
        # Numbers to a tolerance, all else exactly.
        assert same_numbers(mine.drop(columns=numeric), theirs.drop(columns=numeric)), name
        np.testing.assert_allclose(mine[numeric], theirs[numeric], rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[ray_cluster.RayCluster]:
    monkeypatch.setattr(ray_tasks, "BATCH_CELLS", 2 * 4 * 20)  # two categories a task
    with ray_cluster.ray_cluster(nodes=2) as cluster:
        yield cluster


def test_publishes_the_same_also_where_a_machine_dies(
    cluster: ray_cluster.RayCluster,
    in_one_process: Project,
    sales: pd.DataFrame,
    new_ducklake: Callable[[], DuckLakeWarehouse],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    whole = on_ray(tmp_path / "whole", sales, cluster.address, new_ducklake())
    capfd.readouterr()
    refit(whole)
    assert_same(in_one_process, whole)

    dies = on_ray(tmp_path / "dies", sales, cluster.address, new_ducklake())
    batches = ray_tasks._batches
    killed = threading.Event()

    def kills_in_the_middle(tasks: Iterable[Any], cells: Callable[[Any], int]) -> Iterator[list[Any]]:
        for number, batch in enumerate(batches(tasks, cells)):
            if number == 3 and not killed.is_set():  # when two batches are done and two under way
                killed.set()
                cluster.kill_node()
            yield batch

    monkeypatch.setattr(ray_tasks, "_batches", kills_in_the_middle)
    refit(dies)
    assert killed.is_set()
    assert_same(in_one_process, dies)
    shown = capfd.readouterr()
    assert "raylet" not in (shown.out + shown.err).casefold()


def test_publishes_the_sample_as_one_process_does(
    cluster: ray_cluster.RayCluster,
    new_ducklake: Callable[[], DuckLakeWarehouse],
    tmp_path: Path,
    at_length: bool,
) -> None:
    if not at_length:
        pytest.skip("takes minutes; --at-length runs it")
    one = of_the_sample(tmp_path / "one")
    assert one.ingest().success
    refit(one)
    other = moved_to_ray(of_the_sample(tmp_path / "other"), cluster.address, new_ducklake())
    refit(other)
    assert_same(one, other)


def test_says_in_one_line_where_no_cluster_is(in_one_process: Project) -> None:
    project = in_one_process
    ray = project.settings.ray.model_copy(update={"address": f"127.0.0.1:{free_port()}"})
    elsewhere = Project(
        project.folder, project.settings.model_copy(update={"executor": "ray", "ray": ray}), project.instance
    )
    result = elsewhere.refit(changed_only=False, assets=["category_posterior"])
    (line,) = failures(result.all_events)
    assert line.startswith(f"category_posterior: ray.address '{ray.address}' cannot be reached: ")
