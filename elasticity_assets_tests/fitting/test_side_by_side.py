"""Work on categories: which errors are a category's, and which end the run."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from elasticity_assets.fitting import ray_tasks, side_by_side
from elasticity_assets.fitting.array_store import UnreadableArraysError
from elasticity_assets.fitting.fitter import Fitter
from elasticity_assets.fitting.side_by_side import fit_errors, work_on_each
from elasticity_assets_tests.support.projects import make_project

pytestmark = pytest.mark.quick


@dataclass(frozen=True)
class Task:
    panel: Any
    error: Exception | None = None
    zoned: Any = None


class CannotBePickledError(ArithmeticError):
    def __init__(self, row: int, what: str):
        super().__init__(f"row {row} is {what}")


def task(category: str, error: Exception | None = None) -> Task:
    return Task(SimpleNamespace(category=category, controls=np.zeros((8, 8, 0))), error)


def work(given: Task) -> str:
    if given.error:
        raise given.error
    return given.panel.category.upper()


@pytest.fixture(scope="module")
def fitter(tmp_path_factory: pytest.TempPathFactory) -> Fitter:
    return Fitter.from_settings(make_project(tmp_path_factory.mktemp("project")).settings)


@pytest.mark.parametrize(
    "error",
    [
        FloatingPointError("not finite"),
        ValueError("a price is\nnot positive"),
        np.linalg.LinAlgError("singular"),
        MemoryError("none left"),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED"),
        UnreadableArraysError("a.npz cannot be read"),
        ray_tasks._sendable(CannotBePickledError(3, "singular")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_category_that_cannot_be_fitted_stops_no_other(fitter: Fitter, error: Exception) -> None:
    kept, failed = [], {}
    tasks = [task("a"), task("b", error), task("c")]
    work_on_each(fitter, work, tasks, lambda given, result: kept.append(result), failed)
    assert kept == ["A", "C"]
    assert failed == {"b": f"{type(error).__name__}: {' '.join(str(error).split())}"}


@pytest.mark.parametrize("error", [TypeError("no"), KeyError("no"), AttributeError("no"), OSError("no")])
def test_a_mistake_in_the_program_or_a_full_disk_is_nobodys_data(fitter: Fitter, error: Exception) -> None:
    with pytest.raises(type(error), match="no"):
        work_on_each(fitter, work, [task("a", error), task("b")], lambda *_: None, {})


def test_what_cannot_be_stored_ends_the_work(fitter: Fitter) -> None:
    def keep(given: Task, result: str) -> None:
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="the disk is full"):
        work_on_each(fitter, work, [task("a")], keep, {})


def test_no_category_no_jax_and_no_cluster(fitter: Fitter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)  # any import of it raises ImportError

    def none() -> Iterator[Task]:
        yield from ()

    work_on_each(fitter, work, none(), lambda *_: None, {})


def test_rays_errors_are_a_categorys() -> None:
    ray = pytest.importorskip("ray")
    assert ray.exceptions.RayError in fit_errors()


def test_a_worker_makes_jax_ready_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made_ready: list[str] = []
    monkeypatch.setattr(side_by_side, "keep_compiled", made_ready.append)
    side_by_side._prepare_jax_once.cache_clear()
    assert [side_by_side._in_worker(work, "folder", task(name), on_gpu=True) for name in "ab"] == ["A", "B"]
    assert made_ready == ["folder"]


def test_room_for_programs_is_looked_for_at_each_new_size(
    fitter: Fitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []
    monkeypatch.setattr(side_by_side, "forget_programs", lambda: bool(looked.append(True)))
    small, large = np.zeros((8, 8, 0)), np.zeros((16, 8, 0))
    panels = [SimpleNamespace(category="tea", controls=controls) for controls in (small, small, large)]
    by_zone = [SimpleNamespace(rows=panel, n_zones=3) for panel in panels]
    tasks = [*map(Task, panels), *(Task(panels[0], zoned=zoned) for zoned in by_zone)]
    kept: list[str] = []
    work_on_each(fitter, work, tasks, lambda _, done: kept.append(done), {})
    assert kept == ["TEA"] * 6
    assert len(looked) == 4
