"""Work on many categories, side by side: in threads of this process, or on a Ray cluster."""

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import cache, partial
from itertools import chain
from typing import Protocol, TypeVar

import dagster as dg

from elasticity_assets.fitting import ray_tasks
from elasticity_assets.fitting.compiled import forget_programs, keep_compiled
from elasticity_assets.fitting.fitter import Fitter
from elasticity_assets.fitting.threads import cores, one_blas_thread, run_each
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.zoned_panel import ZonedPanel
from elasticity_assets.settings import Settings
from elasticity_assets.words import reason


class OfCategory(Protocol):
    """Work on one category."""

    @property
    def panel(self) -> Panel:
        """What it works on."""

    @property
    def zoned(self) -> ZonedPanel | None:
        """What it works on in the panel's place, where the category has zones."""


Task = TypeVar("Task", bound=OfCategory)
Result = TypeVar("Result")


def fitter_resource(settings: Settings) -> dg.ResourceDefinition:
    """`Fitter` as Dagster's resource: where a run's work was on a Ray cluster, its end leaves that."""

    @contextmanager
    def for_a_run(context: dg.InitResourceContext) -> Iterator[Fitter]:
        try:
            yield Fitter.from_settings(settings)
        finally:
            ray_tasks.disconnect()

    return dg.ResourceDefinition(
        for_a_run, description="Fits categories as the settings say, here or on a Ray cluster."
    )


def work_on_each(
    fitter: Fitter,
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    keep: Callable[[Task, Result], None],
    failed: dict[str, str],
    *,
    in_threads: bool = True,
) -> None:
    """Do `work` on several categories side by side, and keep what came of it; one that fails stops no other.

    Parameters
    ----------
    fitter, work, tasks, in_threads
        As of `side_by_side`.
    keep : callable
        Takes a task and its result, in this thread, in the order of `tasks`. What it raises ends the work.
    failed : dict of category to str
        Gets the reasons of those whose work raised one of `fit_errors`. Any other error is a mistake in the
        program, and ends the work.
    """
    with closing(side_by_side(fitter, work, tasks, in_threads=in_threads)) as each:
        for task, done in each:
            try:
                result = done.result()
            except fit_errors() as error:
                failed[task.panel.category] = reason(error)
                dg.get_dagster_logger().exception(f"category {task.panel.category!r} failed")
                continue
            keep(task, result)


def fit_errors() -> tuple[type[Exception], ...]:
    """Errors that a fit may end with for its data's, its machine's or its memory's sake.

    OSError is none: a disk that is full, or a store that is gone, is no category's. That one category's stored arrays
    cannot be read is an `UnreadableArraysError`, a ValueError.
        Asked for when one is there: jax and Ray are imported by then, or raised none.
    """
    found: list[type[Exception]] = [ArithmeticError, ValueError, MemoryError, ray_tasks.NotSentError]
    if "jax" in sys.modules:
        import jax  # noqa: PLC0415

        found.append(jax.errors.JaxRuntimeError)
    if "ray" in sys.modules:
        import ray  # noqa: PLC0415

        found.append(ray.exceptions.RayError)
    return tuple(found)


def side_by_side(
    fitter: Fitter,
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    in_threads: bool = True,
) -> Generator[tuple[Task, Future[Result]], None, None]:
    """Do `work` on several tasks: on Ray, or here, as many at once as `_at_once` says; see `run_each` of both.

    Parameters
    ----------
    fitter : Fitter
        Says where.
    work : callable
        On Ray it and the tasks are pickled, and find no file of this machine.
    tasks : iterable
    in_threads : bool
        Whether the work may run in several threads of one process: NumPyro's handlers may not.
    """
    tasks = iter(tasks)
    first = next(tasks, None)
    if first is None:
        return  # neither jax nor a cluster is needed
    tasks = chain([first], tasks)
    if fitter.cluster:
        cluster = fitter.cluster
        # Not before a step needs it, so that a failure is the step's. Once a run: Ray's workers, and what they
        # compiled, last as long as the connection.
        ray_tasks.connect(cluster.address)
        in_worker = partial(_in_worker, work, fitter.cache, on_gpu=cluster.gpus > 0)
        yield from ray_tasks.run_each(in_worker, tasks, _cells, cpus=cluster.cpus, gpus=cluster.gpus)
        return
    prepare_jax(fitter.cache)
    with one_blas_thread():
        yield from run_each(_with_room(work), tasks, _at_once() if in_threads else 1)


def _with_room(work: Callable[[Task], Result]) -> Callable[[Task], Result]:
    """Do `work`, and see to it that programs of a size not met before find room."""
    sizes: set[tuple[int, ...]] = set()

    def of_task(task: Task) -> Result:
        size = task.panel.controls.shape
        if task.zoned is not None:
            size += (*task.zoned.rows.controls.shape, task.zoned.n_zones)
        if size not in sizes:
            if forget_programs():
                sizes.clear()
            sizes.add(size)
        return work(task)

    return of_task


def prepare_jax(cache: str) -> None:
    """Let jax take a GPU's memory as needed, and keep compiled programs.

    Parameters
    ----------
    cache : str
        Their folder, unless JAX_COMPILATION_CACHE_DIR names another.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # read when jax is imported
    keep_compiled(cache)


def _at_once() -> int:
    """How many categories are worked on at once in threads: one a core, or one.

    One on an accelerator, which one fit fills, and over several devices, where programs with collectives must start
    everywhere in the same order.
    """
    import jax  # noqa: PLC0415

    return cores() if jax.default_backend() == "cpu" and jax.device_count() == 1 else 1


_prepare_jax_once = cache(prepare_jax)


def _in_worker(work: Callable[[Task], Result], compiled: str, task: Task, *, on_gpu: bool) -> Result:
    """Do `work` on one task in a worker of Ray, which hides no GPU from who asked for none."""
    if not on_gpu:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    _prepare_jax_once(compiled)
    forget_programs()
    return work(task)


def _cells(task: OfCategory) -> int:
    panel = task.panel if task.zoned is None else task.zoned.rows
    return panel.n_products * panel.n_periods
