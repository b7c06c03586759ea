"""The fit resource: settings in, one category's posterior out."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import dagster as dg
from pydantic import Field, PrivateAttr, TypeAdapter
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from elasticity_assets.fitting import ray_tasks
from elasticity_assets.fitting.compiled import keep_compiled
from elasticity_assets.fitting.packing import pack
from elasticity_assets.fitting.threads import cores, run_each
from elasticity_assets.inference.cell_weights import CellWeights, weighed
from elasticity_assets.inference.options import (
    ARTICLE,
    FitOptions,
    Likelihood,
    NaturalGradientOptions,
    NutsOptions,
    SviOptions,
)
from elasticity_assets.inference.panel import Panel, some_products
from elasticity_assets.inference.posterior import CategoryPosterior, TwoSlopes
from elasticity_assets.inference.priors import PRESETS, Priors
from elasticity_assets.settings import RaySettings

if TYPE_CHECKING:  # they import jax
    from elasticity_assets.inference.judging.cross_check import CrossCheck
    from elasticity_assets.inference.judging.scores import HeldOut
    from elasticity_assets.inference.judging.split_samples import SplitSamples


class OfCategory(Protocol):
    """Work on one category."""

    @property
    def panel(self) -> Panel:
        """What it works on."""


Task = TypeVar("Task", bound=OfCategory)
Result = TypeVar("Result")

CROSS_CHECK_PRODUCTS = 30
"""NUTS takes minutes for so many products, and hours for many more."""

LIKELIHOODS: tuple[Likelihood, ...] = ("negative_binomial", "poisson")


@dataclass(frozen=True)
class FitTask:
    """One category to fit.

    Attributes
    ----------
    key : str
        Its partition.
    panel : Panel
    start : CategoryPosterior or None
        An earlier posterior of this category to start from.
    inputs_hash : str
        As from `Fitter.inputs_hash`.
    """

    key: str
    panel: Panel
    start: CategoryPosterior | None
    inputs_hash: str


@dataclass(frozen=True)
class TwoSlopesTask:
    """One category whose two slopes are to be fitted.

    Attributes
    ----------
    key : str
        Its partition.
    panel : Panel
        With regular prices.
    posterior : CategoryPosterior
        Of one slope, of this panel.
    fit_id : str
        That fit's.
    fitted_at : datetime
        When that fit ended.
    """

    key: str
    panel: Panel
    posterior: CategoryPosterior
    fit_id: str
    fitted_at: datetime


class Fitter(dg.ConfigurableResource):
    """Fits categories by variational inference, or by NUTS, as the settings say.

    jax is imported when a fit starts, so that definitions load fast.

    Attributes
    ----------
    engine : str
        'natural_gradient', 'svi' or 'nuts'.
    likelihood : str
        'negative_binomial', 'poisson', or 'auto': the one that predicts held-out cells better.
    preset : str
        'default' or 'article'; the latter overrides engine, likelihood and options.
    robust, serial_correlation : bool
        Whether outlying cells count less, and whether neighbouring periods' correlation widens the intervals.
    svi, natural_gradient, nuts : dict
        The engines' own options, by name.
    cache : str
        Folder of compiled programs, kept between processes; JAX_COMPILATION_CACHE_DIR names another.
    ray : dict
        The settings' section `ray`, where its cluster does the work on categories; empty where this process does.
    """

    engine: str = "natural_gradient"
    likelihood: str = "negative_binomial"
    preset: str = "default"
    robust: bool = True
    serial_correlation: bool = True
    svi: dict[str, Any] = Field(default={})
    natural_gradient: dict[str, Any] = Field(default={})
    nuts: dict[str, Any] = Field(default={})
    cache: str
    ray: dict[str, Any] = Field(default={})
    _connected: bool = PrivateAttr(default=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled as settings alone: in a run it holds Dagster's context, with loggers."""
        return partial(Fitter, **self.model_dump()), ()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Prepare jax."""
        prepare_jax(self.cache)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Leave the Ray cluster."""
        if self._connected:
            self._connected = False
            ray_tasks.disconnect()

    @property
    def priors(self) -> Priors:
        """The preset's priors."""
        return PRESETS[self.preset]

    @property
    def options(self) -> FitOptions:
        """Options of one fit; with likelihood 'auto', those of its first candidate."""
        if self.preset == "article":
            return ARTICLE
        return FitOptions(
            engine=self.engine,  # type: ignore[arg-type]
            likelihood=LIKELIHOODS[0] if self.likelihood == "auto" else self.likelihood,  # type: ignore[arg-type]
            robust=self.robust,
            serial_correlation=self.serial_correlation,
            svi=_adapter(SviOptions).validate_python(self.svi),
            natural_gradient=_adapter(NaturalGradientOptions).validate_python(self.natural_gradient),
            nuts=_adapter(NutsOptions).validate_python(self.nuts),
        )

    def device(self) -> str:
        """Where fits run, e.g. 'cpu x1', 'NVIDIA H100 x1' or 'Ray at auto'."""
        if self.ray:
            return f"Ray at {RaySettings(**self.ray).address}"
        import jax  # noqa: PLC0415

        devices = jax.devices()
        return f"{devices[0].device_kind} x{len(devices)}"

    def inputs_hash(self, panel: Panel) -> str:
        """Hash of all that decides a posterior: the panel, the choices and the software's version."""
        digest = hashlib.sha256()
        for name, array in pack(panel).items():
            digest.update(f"{name} {array.dtype} {array.shape} ".encode())
            digest.update(array.tobytes())
        choices = (
            dataclasses.asdict(self.options),
            repr(self.priors),
            self.likelihood,
            version("elasticity_assets"),
        )
        digest.update(json.dumps(choices, sort_keys=True).encode())
        return digest.hexdigest()

    def fit_each(
        self, tasks: Iterable[FitTask]
    ) -> Generator[tuple[FitTask, Future[CategoryPosterior]], None, None]:
        """Fit several categories side by side."""
        yield from self.side_by_side(self._fit_task, tasks, self.options.engine == "natural_gradient")

    def _fit_task(self, task: FitTask) -> CategoryPosterior:
        return self.fit(task.panel, task.start)

    def side_by_side(
        self, work: Callable[[Task], Result], tasks: Iterable[Task], natural_gradient: bool = True
    ) -> Generator[tuple[Task, Future[Result]], None, None]:
        """Do `work` on several tasks: on Ray, or here, as many at once as `workers` says; see `run_each` of both.

        Parameters
        ----------
        work : callable
            On Ray it and the tasks are pickled, and find no file of this machine.
        tasks : iterable
        natural_gradient : bool
            Whether that engine does the work.
        """
        if self.ray:
            cluster = RaySettings(**self.ray)
            # Not before a step needs it, so that a failure is the step's. Once a run: Ray's workers, and what they
            # compiled, last as long as the connection.
            self._connected = ray_tasks.connect(cluster.address) or self._connected
            in_worker = partial(_in_worker, work, self.cache, on_gpu=cluster.gpus > 0)
            yield from ray_tasks.run_each(in_worker, tasks, _cells, cpus=cluster.cpus, gpus=cluster.gpus)
            return
        # Each fit's small factorizations need no threads of their own, and BLAS's spin while they wait for work.
        with threadpool_limits(limits=1, user_api="blas"):
            yield from run_each(work, tasks, self.workers(natural_gradient))

    def fit_two_slopes_each(
        self, tasks: Iterable[TwoSlopesTask]
    ) -> Generator[tuple[TwoSlopesTask, Future[TwoSlopes]], None, None]:
        """Fit two slopes of several categories side by side."""
        yield from self.side_by_side(self._fit_two_slopes, tasks)

    def _fit_two_slopes(self, task: TwoSlopesTask) -> TwoSlopes:
        """By the natural-gradient engine, whatever the settings' is."""
        from elasticity_assets.inference.natural_gradient import two_slopes  # noqa: PLC0415

        # With likelihood 'auto' the fit of one slope chose.
        family = task.posterior.diagnostics.family
        options = self.options.natural_gradient
        return two_slopes.fit(task.panel, self.priors, family, options, task.posterior)

    @staticmethod
    def workers(natural_gradient: bool) -> int:
        """How many categories are fitted at once: one a core, or one.

        One where NumPyro's handlers run, which know no threads; on an accelerator, which one fit fills; and over
        several devices, where programs with collectives must start everywhere in the same order.

        Parameters
        ----------
        natural_gradient : bool
            Whether that engine does the work.
        """
        import jax  # noqa: PLC0415

        one_cpu = jax.default_backend() == "cpu" and jax.device_count() == 1
        return cores() if natural_gradient and one_cpu else 1

    def evaluate(self, panel: Panel, posterior: CategoryPosterior, categories: int = 1) -> "HeldOut":
        """Predict the category's cells from each other, under the priors and weights of its fit.

        By the natural-gradient engine, whichever engine found the posterior.

        Parameters
        ----------
        panel : Panel
        posterior : CategoryPosterior
        categories : int
            How many are judged at once: each of a great many less closely.
        """
        from elasticity_assets.inference.judging import heldout  # noqa: PLC0415

        panel = weighed(panel, CellWeights.of(posterior))
        return heldout.evaluate(
            panel,
            self.priors,
            posterior.diagnostics.family,
            posterior,
            effort=heldout.Effort.for_each_of(categories),
        )

    def compare_samples(self, panel: Panel, posterior: CategoryPosterior) -> "SplitSamples":
        """Compare elasticities from parts of the category's periods, fitted as `evaluate` does."""
        from elasticity_assets.inference import natural_gradient  # noqa: PLC0415
        from elasticity_assets.inference.judging import split_samples  # noqa: PLC0415

        def fit(part: Panel) -> CategoryPosterior:
            return natural_gradient.fit(
                part,
                self.priors,
                posterior.diagnostics.family,
                self.options.natural_gradient,
                start=posterior,
            )

        return split_samples.compare(weighed(panel, CellWeights.of(posterior)), fit)

    def cross_check(self, panel: Panel, posterior: CategoryPosterior) -> "CrossCheck":
        """Hold a category's posterior against NUTS under the same priors and weights.

        Of a larger category, the fit of a random sample of CROSS_CHECK_PRODUCTS products is.
        """
        from elasticity_assets.inference import natural_gradient, nuts  # noqa: PLC0415
        from elasticity_assets.inference.judging import cross_check  # noqa: PLC0415

        panel = weighed(panel, CellWeights.of(posterior))
        part = some_products(panel, CROSS_CHECK_PRODUCTS, seed=0)
        family = posterior.diagnostics.family
        if part is not panel:
            posterior = natural_gradient.fit(
                part, self.priors, family, self.options.natural_gradient, start=posterior
            )
        draws = nuts.sample(part, self.priors, family, self.options.nuts, start=posterior)
        return cross_check.compare(posterior, draws)

    def fit(self, panel: Panel, start: CategoryPosterior | None = None) -> CategoryPosterior:
        """Fit one category, with a progress bar where a person watches.

        Parameters
        ----------
        panel : Panel
        start : CategoryPosterior, optional
            An earlier posterior of this category to start from.
        """
        options = self.options
        if self.likelihood != "auto" or self.preset == "article":
            return self._fit(panel, options, start)
        from elasticity_assets.inference.judging import heldout  # noqa: PLC0415

        best, _ = heldout.choose_likelihood(panel, self.priors, LIKELIHOODS)
        return self._fit(panel, dataclasses.replace(options, likelihood=best), start)

    def _fit(self, panel: Panel, options: FitOptions, start: CategoryPosterior | None) -> CategoryPosterior:
        from elasticity_assets.inference import engines  # noqa: PLC0415

        unit = {"natural_gradient": "pass", "svi": "step", "nuts": "draw"}[options.engine]
        # disable=None: only where stderr is a terminal
        with tqdm(desc=panel.category, unit=unit, disable=None, leave=False) as bar:

            def show(iterations: int, elbo: float) -> None:
                bar.set_postfix_str(f"ELBO {elbo:,.1f}", refresh=False)
                bar.update(iterations - bar.n)

            return engines.fit(panel, self.priors, options, start=start, on_progress=show)


def prepare_jax(cache: str) -> None:
    """Let jax take a GPU's memory as needed, and keep compiled programs.

    Parameters
    ----------
    cache : str
        Their folder, unless JAX_COMPILATION_CACHE_DIR names another.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # read when jax is imported
    keep_compiled(cache)


def _in_worker(work: Callable[[Task], Result], cache: str, task: Task, *, on_gpu: bool) -> Result:
    """Do `work` on one task in a worker of Ray, which hides no GPU from who asked for none."""
    if not on_gpu:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    prepare_jax(cache)
    return work(task)


def _cells(task: OfCategory) -> int:
    return task.panel.n_products * task.panel.n_periods


@cache
def _adapter(options: type) -> TypeAdapter[Any]:
    """Make the reader of a section once: that takes longer than reading, and each category's hash reads three."""
    return TypeAdapter(options)
