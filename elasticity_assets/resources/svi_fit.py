"""The fit resource: settings in, one category's posterior out."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

import dagster as dg
from pydantic import Field, TypeAdapter
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from elasticity_assets.inference.arrays import pack
from elasticity_assets.inference.options import (
    ARTICLE,
    FitOptions,
    Likelihood,
    NaturalGradientOptions,
    NutsOptions,
    SviOptions,
)
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, TwoSlopes
from elasticity_assets.inference.priors import PRESETS, Priors
from elasticity_assets.inference.side_by_side import cores, run_each

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
        As from `SviFit.inputs_hash`.
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


class SviFit(dg.ConfigurableResource):
    """Fits categories by variational inference, or by NUTS, as the settings say.

    jax is imported when a fit starts, so that definitions load fast.

    Attributes
    ----------
    engine : str
        'natural_gradient', 'svi' or 'nuts'.
    likelihood : str
        'negative_binomial', 'poisson', or 'auto': the one with the larger ELBO.
    preset : str
        'default' or 'article'; the latter overrides engine, likelihood and options.
    svi, natural_gradient, nuts : dict
        The engines' own options, by name.
    cache : str
        Folder of compiled programs, kept between processes; JAX_COMPILATION_CACHE_DIR names another.
    """

    engine: str = "natural_gradient"
    likelihood: str = "negative_binomial"
    preset: str = "default"
    svi: dict[str, Any] = Field(default={})
    natural_gradient: dict[str, Any] = Field(default={})
    nuts: dict[str, Any] = Field(default={})
    cache: str

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Prepare jax: memory on a GPU as needed, and the compilation cache."""
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # read when jax is imported
        import jax  # noqa: PLC0415

        if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
            jax.config.update("jax_compilation_cache_dir", self.cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

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
            svi=TypeAdapter(SviOptions).validate_python(self.svi),
            natural_gradient=TypeAdapter(NaturalGradientOptions).validate_python(self.natural_gradient),
            nuts=TypeAdapter(NutsOptions).validate_python(self.nuts),
        )

    def device(self) -> str:
        """Where fits run, e.g. 'cpu x1' or 'NVIDIA H100 x1'."""
        import jax  # noqa: PLC0415

        devices = jax.local_devices()
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
        """Fit several categories, as many at once as `workers` says; see `run_each`."""
        # Each fit's small factorizations need no threads of their own, and BLAS's spin while they wait for work.
        with threadpool_limits(limits=1, user_api="blas"):
            yield from run_each(lambda task: self.fit(task.panel, task.start), tasks, self.workers())

    def fit_two_slopes_each(
        self, tasks: Iterable[TwoSlopesTask]
    ) -> Generator[tuple[TwoSlopesTask, Future[TwoSlopes]], None, None]:
        """Fit two slopes of several categories, by the natural-gradient engine whatever the settings' is.

        As many at once as `workers` says; see `run_each`.
        """
        from elasticity_assets.inference import two_slopes  # noqa: PLC0415

        def fit(task: TwoSlopesTask) -> TwoSlopes:
            # With likelihood 'auto' the fit of one slope chose.
            poisson = task.posterior.diagnostics.likelihood.endswith("poisson")
            return two_slopes.fit(
                task.panel,
                self.priors,
                "poisson" if poisson else "negative_binomial",
                self.options.natural_gradient,
                task.posterior,
            )

        with threadpool_limits(limits=1, user_api="blas"):
            yield from run_each(fit, tasks, self.workers("natural_gradient"))

    def workers(self, engine: str | None = None) -> int:
        """How many categories an engine, by default the settings', fits at once: one a core, or one.

        One where NumPyro's handlers run, which know no threads; on an accelerator, which one fit fills; and over
        several devices, where programs with collectives must start everywhere in the same order.
        """
        import jax  # noqa: PLC0415

        one_cpu = jax.default_backend() == "cpu" and jax.local_device_count() == 1
        return cores() if (engine or self.options.engine) == "natural_gradient" and one_cpu else 1

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
        # NUTS has no ELBO: the natural-gradient engine chooses for it.
        judge = "natural_gradient" if options.engine == "nuts" else options.engine
        judged = {
            likelihood: self._fit(
                panel, dataclasses.replace(options, engine=judge, likelihood=likelihood), start
            )
            for likelihood in LIKELIHOODS
        }
        best = max(judged, key=lambda likelihood: judged[likelihood].diagnostics.elbo)
        if judge == options.engine:
            return judged[best]
        return self._fit(panel, dataclasses.replace(options, likelihood=best), judged[best])

    def _fit(self, panel: Panel, options: FitOptions, start: CategoryPosterior | None) -> CategoryPosterior:
        from elasticity_assets.inference import engines  # noqa: PLC0415

        unit = {"natural_gradient": "pass", "svi": "step", "nuts": "draw"}[options.engine]
        # disable=None: only where stderr is a terminal
        with tqdm(desc=panel.category, unit=unit, disable=None, leave=False) as bar:

            def show(iterations: int, elbo: float) -> None:
                bar.set_postfix_str(f"ELBO {elbo:,.1f}", refresh=False)
                bar.update(iterations - bar.n)

            return engines.fit(panel, self.priors, options, start=start, on_progress=show)
