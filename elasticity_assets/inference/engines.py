"""From a panel and options to a posterior: weighs the cells and picks the engine."""

import importlib
import time
from dataclasses import replace

import numpy as np

from elasticity_assets.inference import weighing
from elasticity_assets.inference.cell_weights import weighed
from elasticity_assets.inference.options import FitOptions, Progress
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import DEFAULT, Priors


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
    )
    weights, same_engine = found.cell_weights, options.engine == "natural_gradient"
    posterior = engine.fit(
        weighed(panel, weights),
        priors,
        options.likelihood,
        own_options,
        start=found.mode.state if same_engine else start,
        on_progress=on_progress,
    )
    iterations, trace = posterior.diagnostics.iterations, posterior.trace
    if same_engine:
        iterations += found.passes
        if weights.serial_correlation_factor == 1.0:  # of nearly the same weights
            trace = np.concatenate([found.mode.posterior.trace, trace])
    return replace(
        posterior,
        trace=trace,
        diagnostics=replace(
            posterior.diagnostics, iterations=iterations, seconds=time.perf_counter() - began
        ),
        serial_correlation_factor=weights.serial_correlation_factor,
        discounted=weights.discounted,
        discounted_share=weights.discounted_share,
    )
