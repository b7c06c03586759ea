"""What is done to one category: fitted, evaluated, split, held against NUTS, fitted with two slopes."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from tqdm import tqdm

from elasticity_assets.fitting.stored_fits import (
    FitRecord,
    Posterior,
    check_finite,
    check_finite_slopes,
    products_of,
)
from elasticity_assets.inference.cell_weights import CellWeights, weighed
from elasticity_assets.inference.experiments import without_experiments
from elasticity_assets.inference.judging.confounding import ConfoundingTests, look_for_confounding
from elasticity_assets.inference.options import ARTICLE, FitOptions, Likelihood, Progress
from elasticity_assets.inference.panel import Panel, some_products
from elasticity_assets.inference.posterior import CategoryPosterior, TwoSlopes
from elasticity_assets.inference.priors import DEFAULT_ZONES, PRESETS, Priors, Season, SlowDemand
from elasticity_assets.inference.zoned_panel import ZonedPanel
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets.settings import RaySettings, Settings

if TYPE_CHECKING:  # they import jax
    from elasticity_assets.inference.judging.cross_check import CrossCheck
    from elasticity_assets.inference.judging.scores import HeldOut
    from elasticity_assets.inference.judging.split_samples import SplitSamples

CROSS_CHECK_PRODUCTS = 30
"""NUTS takes minutes for so many products, and hours for many more."""

LIKELIHOODS: tuple[Likelihood, ...] = ("negative_binomial", "poisson")


@dataclass(frozen=True)
class CategoryToFit:
    """One category to fit.

    Attributes
    ----------
    key : str
        Its partition.
    panel : Panel
    start : CategoryPosterior, ZonedPosterior or None
        An earlier posterior of this category to start from.
    inputs_hash : str
        As from `Fitter.inputs_hash`.
    zoned : ZonedPanel or None
        The same sales by product and zone, which are fitted in the panel's place; None where there are no zones.
    """

    key: str
    panel: Panel
    start: Posterior | None
    inputs_hash: str
    zoned: ZonedPanel | None = None


@dataclass(frozen=True)
class FittedCategory:
    """One category with its fit, for what comes after.

    Attributes
    ----------
    key : str
        Its partition.
    panel : Panel
        What it was fitted to.
    posterior : CategoryPosterior or ZonedPosterior
    record : FitRecord
    zoned : ZonedPanel or None
        What it was fitted to in the panel's place, where it has zones.
    """

    key: str
    panel: Panel
    posterior: Posterior
    record: FitRecord
    zoned: ZonedPanel | None = None

    @property
    def products(self) -> CategoryPosterior:
        """The posterior of its products."""
        return products_of(self.posterior)

    def by_zone(self) -> tuple[ZonedPanel, ZonedPosterior] | None:
        """Give what it was fitted to by product and zone, under its fit's weights, and that fit; None without zones."""
        if self.zoned is None or not isinstance(self.posterior, ZonedPosterior):
            return None
        rows = weighed(self.zoned.rows, self.posterior.cell_weights())
        return dataclasses.replace(self.zoned, rows=rows), self.posterior


def _season(setting: Literal["auto"] | bool) -> Season | None:
    """Prior of products' seasons as `fit.season` says."""
    if setting == "auto":
        return Season()
    return Season(least_days=0) if setting else None


@dataclass(frozen=True)
class Fitter:
    """Fits a category by variational inference, or by NUTS, and judges its fit, as the settings say.

    Small and without state: it is pickled with every task for Ray. jax is imported when a fit starts, so that
    definitions load fast; call `prepare_jax` before.

    Attributes
    ----------
    options : FitOptions
        Of one fit.
    priors : Priors
    candidates : tuple of str
        Likelihoods of which each category gets the one that predicts held-out cells better; empty where
        `options` says which.
    cache : str
        Folder of compiled programs, kept between processes; JAX_COMPILATION_CACHE_DIR names another.
    cluster : RaySettings or None
        The Ray cluster that does the work on categories; None where this process does.
    """

    options: FitOptions
    priors: Priors
    candidates: tuple[Likelihood, ...]
    cache: str
    cluster: RaySettings | None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Fitter":
        """Fit as the settings say; preset 'article' overrides engine, likelihood and options."""
        fit = settings.fit
        cache = str(settings.own_folder / "compiled")
        cluster = settings.ray if settings.executor == "ray" else None
        if fit.preset == "article":
            return cls(ARTICLE, PRESETS["article"], (), cache, cluster)
        options = FitOptions(
            engine=fit.engine,
            likelihood=LIKELIHOODS[0] if fit.likelihood == "auto" else fit.likelihood,
            robust=fit.robust,
            serial_correlation=fit.serial_correlation,
            svi=fit.svi,
            natural_gradient=fit.natural_gradient,
            nuts=fit.nuts,
        )
        candidates = LIKELIHOODS if fit.likelihood == "auto" else ()
        priors = PRESETS[fit.preset]
        if fit.engine != "svi":
            priors = dataclasses.replace(
                priors, slow_demand=SlowDemand() if fit.slow_demand else None, season=_season(fit.season)
            )
        return cls(options, priors, candidates, cache, cluster)

    @property
    def by_natural_gradient(self) -> bool:
        """Whether fits are that engine's, which knows threads; NumPyro's handlers do not."""
        return self.options.engine == "natural_gradient"

    def inputs_hash(self, panel_hash: str) -> str:
        """Hash of all that decides a posterior: the panel, the choices and the software's version.

        Parameters
        ----------
        panel_hash : str
            As stored beside the panel.
        """
        decisive = (
            panel_hash,
            dataclasses.asdict(self.options),
            repr(self.priors),
            self.candidates,
            version("elasticity_assets"),
        )
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def fit_category(self, task: CategoryToFit, *, judged: int = 0, two_slopes: bool = False) -> Posterior:
        """Fit one category: its products, or, where it has zones, its products in zones.

        Parameters
        ----------
        task : CategoryToFit
        judged : int
        two_slopes : bool
            What the run will do next, whose programs are compiled meanwhile; see `compile_ahead`.

        Raises
        ------
        FloatingPointError
            If a moment that is published is no number.
        """
        if task.zoned is not None:
            start = task.start if isinstance(task.start, ZonedPosterior) else None
            return check_finite(self.fit_zones(task.zoned, start))
        if self.by_natural_gradient and self.cluster is None:
            from elasticity_assets.fitting.compile_ahead import compile_ahead  # noqa: PLC0415

            options = self.options.natural_gradient
            compile_ahead(
                task.panel,
                self.priors,
                self.options.likelihood,
                options,
                judged=judged,
                two_slopes=two_slopes,
            )
        return check_finite(self.fit(task.panel, None if task.start is None else products_of(task.start)))

    def fit_two_slopes(self, task: FittedCategory) -> TwoSlopes:
        """Fit one category's two slopes by the natural-gradient engine, whatever the settings' is.

        Raises
        ------
        FloatingPointError
            If a moment that is published is no number.
        """
        from elasticity_assets.inference.natural_gradient import two_slopes  # noqa: PLC0415

        # Of several candidates the fit of one slope chose.
        likelihood = task.products.diagnostics.likelihood
        options = self.options.natural_gradient
        return check_finite_slopes(
            two_slopes.fit(task.panel, self.priors, likelihood, options, task.products)
        )

    def evaluate(self, task: FittedCategory, categories: int = 1) -> "HeldOut":
        """Predict the category's cells from each other, under the priors and weights of its fit.

        By the natural-gradient engine, whichever engine found the posterior.

        Parameters
        ----------
        task : FittedCategory
        categories : int
            How many are judged at once: each of a great many less closely.
        """
        from elasticity_assets.inference.judging import heldout, zoned  # noqa: PLC0415

        likelihood, effort = task.products.diagnostics.likelihood, heldout.Effort.for_each_of(categories)
        if by_zone := task.by_zone():
            rows, posterior = by_zone
            return zoned.evaluate(rows, self.priors, likelihood, posterior, effort=effort)
        panel = weighed(task.panel, CellWeights.of(task.products))
        return heldout.evaluate(panel, self.priors, likelihood, task.products, effort=effort)

    def compare_samples(self, task: FittedCategory) -> "SplitSamples":
        """Compare elasticities from parts of the category's periods, at the scales and under the weights of its fit."""
        from elasticity_assets.inference.judging import split_samples  # noqa: PLC0415
        from elasticity_assets.inference.natural_gradient import engine  # noqa: PLC0415
        from elasticity_assets.inference.natural_gradient.zones import engine as by_zones  # noqa: PLC0415

        likelihood = task.products.diagnostics.likelihood
        options = dataclasses.replace(self.options.natural_gradient, tolerance=split_samples.TOLERANCE)
        if by_zone := task.by_zone():
            zoned, posterior = by_zone
            rows = by_zones.Problem(zoned, self.priors, DEFAULT_ZONES, likelihood, options.max_passes)
            at = rows.start(posterior)
            return split_samples.compare(
                zoned.rows, lambda weight: rows.under(weight).at_scales(at, options).products
            )
        # What was found elsewhere is not found twice.
        panel = weighed(without_experiments(task.panel), CellWeights.of(task.products))
        problem = engine.Problem(panel, self.priors, likelihood, options.max_passes)
        start = problem.start(task.products)
        return split_samples.compare(panel, lambda weight: problem.under(weight).at_scales(start, options))

    def look_for_confounding(self, task: FittedCategory) -> ConfoundingTests:
        """Test whether the category's prices follow demand, from the working model of its fit.

        Where it has zones, of a fit of its products' units and mean prices over all zones: shocks of a product's week
        are common to its zones, and rows would count them once a zone.
        """
        posterior = task.products
        if task.zoned is not None:
            options = dataclasses.replace(self.options, likelihood=posterior.diagnostics.likelihood)
            posterior = self._fit(task.panel, options, None)
        return look_for_confounding(task.panel, posterior, self.priors)

    def cross_check(self, task: FittedCategory) -> "CrossCheck":
        """Hold a category's posterior against NUTS under the same priors and weights.

        Of a larger category, the fit of a random sample of CROSS_CHECK_PRODUCTS products is.

        Raises
        ------
        ValueError
            If the category has zones.
        """
        from elasticity_assets.inference import natural_gradient, nuts  # noqa: PLC0415
        from elasticity_assets.inference.judging import cross_check  # noqa: PLC0415

        if task.zoned is not None:
            raise ValueError("its prices are set by zone, and fits by zone are not held against NUTS")
        posterior = task.products
        panel = weighed(task.panel, CellWeights.of(posterior))
        part = some_products(panel, CROSS_CHECK_PRODUCTS, seed=0)
        likelihood = posterior.diagnostics.likelihood
        if part is not panel:
            posterior = natural_gradient.fit(
                part, self.priors, likelihood, self.options.natural_gradient, start=posterior
            )
        draws = nuts.sample(part, self.priors, likelihood, self.options.nuts, start=posterior)
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
        if not self.candidates:
            return self._fit(panel, options, start)
        from elasticity_assets.inference.judging import heldout  # noqa: PLC0415

        best, _ = heldout.choose_likelihood(panel, self.priors, self.candidates)
        return self._fit(panel, dataclasses.replace(options, likelihood=best), start)

    def fit_zones(self, zoned: ZonedPanel, start: ZonedPosterior | None = None) -> ZonedPosterior:
        """Fit one category by product and zone; else as `fit`.

        Parameters
        ----------
        zoned : ZonedPanel
        start : ZonedPosterior, optional
            An earlier posterior of this category to start from.
        """
        from elasticity_assets.inference import engines  # noqa: PLC0415

        options = self.options
        if self.candidates:
            from elasticity_assets.inference.judging import zoned as judging  # noqa: PLC0415

            best, _ = judging.choose_likelihood(zoned, self.priors, self.candidates)
            options = dataclasses.replace(options, likelihood=best)
        with _progress(zoned.rows.category, options) as show:
            return engines.fit_zones(zoned, self.priors, options, start=start, on_progress=show)

    def _fit(self, panel: Panel, options: FitOptions, start: CategoryPosterior | None) -> CategoryPosterior:
        from elasticity_assets.inference import engines  # noqa: PLC0415

        with _progress(panel.category, options) as show:
            return engines.fit(panel, self.priors, options, start=start, on_progress=show)


@contextmanager
def _progress(category: str, options: FitOptions) -> Iterator[Progress]:
    """Show how far a fit is, where a person watches."""
    unit = {"natural_gradient": "pass", "svi": "step", "nuts": "draw"}[options.engine]
    # disable=None: only where stderr is a terminal
    with tqdm(desc=category, unit=unit, disable=None, leave=False) as bar:

        def show(iterations: int, elbo: float) -> None:
            bar.set_postfix_str(f"ELBO {elbo:,.1f}", refresh=False)
            bar.update(iterations - bar.n)

        yield show
