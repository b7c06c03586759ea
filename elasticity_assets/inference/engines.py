"""From a panel and options to a posterior: weighs the cells and picks the engine."""

import importlib
import time
from dataclasses import replace

import numpy as np

from elasticity_assets.inference import weighing
from elasticity_assets.inference.cell_weights import CellWeights, weighed
from elasticity_assets.inference.options import FitOptions, Progress
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import DEFAULT, DEFAULT_ZONES, Priors, Zones
from elasticity_assets.inference.zoned_panel import ZonedPanel
from elasticity_assets.inference.zoned_posterior import ZonedPosterior


def fit(
    panel: Panel,
    priors: Priors = DEFAULT,
    options: FitOptions | None = None,
    *,
    start: CategoryPosterior | None = None,
    on_progress: Progress | None = None,
) -> CategoryPosterior:
    """Fit one category.

    Parameters
    ----------
    panel : Panel
    priors : Priors
    options : FitOptions, optional
    start : CategoryPosterior, optional
        An earlier posterior of this category to start from; products and periods are matched by name.
    on_progress : callable, optional
        Called with (iterations done, ELBO so far).
    """
    began = time.perf_counter()
    options = options or FitOptions()
    # Only the one in use: NumPyro takes a third of a second to import.
    engine = importlib.import_module(f"elasticity_assets.inference.{options.engine}")
    own_options = getattr(options, options.engine)
    if not (options.robust or options.serial_correlation):
        return engine.fit(
            panel, priors, options.likelihood, own_options, start=start, on_progress=on_progress
        )
    found = weighing.weigh(
        panel,
        priors,
        options.likelihood,
        robust=options.robust,
        serial_correlation=options.serial_correlation,
        start=start,
        max_passes=options.natural_gradient.max_passes,
    )
    weights, before, passes = found.cell_weights, None, 0
    panel = weighed(panel, weights)
    if options.engine == "natural_gradient":
        posterior = found.mode.problem.under(panel.weight).fit(own_options, found.mode.state, on_progress)
        before, passes = found.mode.posterior, found.passes
    else:
        posterior = engine.fit(
            panel, priors, options.likelihood, own_options, start=start, on_progress=on_progress
        )
    return replace(
        _after_weighing(posterior, before, passes, weights, began),
        discounted=weights.discounted,
        discounted_share=weights.discounted_share,
    )


def fit_zones(
    panel: ZonedPanel,
    priors: Priors = DEFAULT,
    options: FitOptions | None = None,
    *,
    zones: Zones = DEFAULT_ZONES,
    start: ZonedPosterior | None = None,
    on_progress: Progress | None = None,
) -> ZonedPosterior:
    """Fit one category by product and zone.

    Parameters
    ----------
    panel : ZonedPanel
    priors : Priors
    options : FitOptions, optional
    zones : Zones
    start : ZonedPosterior, optional
        An earlier posterior of this category to start from; all is matched by name.
    on_progress : callable, optional
        Called with (iterations done, ELBO so far).

    Raises
    ------
    ValueError
        If the engine is another than natural_gradient, or prices are not centred.
    """
    began = time.perf_counter()
    options = options or FitOptions()
    if options.engine != "natural_gradient":
        raise ValueError(
            f"category {panel.rows.category!r} has zones, which engine {options.engine} does not know; "
            "use natural_gradient"
        )
    engine = importlib.import_module("elasticity_assets.inference.natural_gradient.zones.engine")
    likelihood, own_options = options.likelihood, options.natural_gradient
    if not (options.robust or options.serial_correlation):
        return engine.fit(panel, priors, zones, likelihood, own_options, start=start, on_progress=on_progress)
    found = weighing.weigh_zones(
        panel,
        priors,
        zones,
        likelihood,
        robust=options.robust,
        serial_correlation=options.serial_correlation,
        start=start,
        max_passes=own_options.max_passes,
    )
    weights = found.cell_weights
    # Anew: what zones' units weigh in their products is by what counts in them.
    posterior = engine.fit(
        replace(panel, rows=weighed(panel.rows, weights)),
        priors,
        zones,
        likelihood,
        own_options,
        start=found.mode.state,
        on_progress=on_progress,
    )
    before = found.mode.posterior.products
    return replace(
        posterior,
        products=_after_weighing(posterior.products, before, found.passes, weights, began),
        discounted=weights.discounted,
        discounted_share=weights.discounted_share,
    )


def _after_weighing(
    posterior: CategoryPosterior,
    before: CategoryPosterior | None,
    passes: int,
    weights: CellWeights,
    began: float,
) -> CategoryPosterior:
    """Add to a fit what weighing its cells took, if the same engine did so, and found."""
    trace, diagnostics = posterior.trace, posterior.diagnostics
    if before is not None and weights.serial_correlation_factor == 1.0:  # of nearly the same weights
        trace = np.concatenate([before.trace, trace])
    seconds = time.perf_counter() - began
    return replace(
        posterior,
        trace=trace,
        diagnostics=replace(diagnostics, iterations=diagnostics.iterations + passes, seconds=seconds),
        serial_correlation_factor=weights.serial_correlation_factor,
    )
