"""From a panel and options to a posterior: weighs the evidence and picks the engine."""

import time
from dataclasses import replace

from elasticity_assets.inference import evidence, natural_gradient, nuts, svi
from elasticity_assets.inference.options import FitOptions, Progress
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import DEFAULT, Priors
from elasticity_assets.inference.state import State


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
    engine = {"natural_gradient": natural_gradient, "svi": svi, "nuts": nuts}[options.engine]
    own_options = getattr(options, options.engine)
    weighs = options.robust or options.serial_correlation
    found, passes = evidence.NOTHING, 0
    near: CategoryPosterior | State | None = start
    if weighs:
        found, mode, passes = evidence.weigh(
            panel,
            priors,
            options.likelihood,
            robust=options.robust,
            serial_correlation=options.serial_correlation,
            start=start,
        )
        if options.engine == "natural_gradient":
            near = mode.state
    posterior = engine.fit(
        evidence.weighed(panel, found),
        priors,
        options.likelihood,
        own_options,
        start=near,
        on_progress=on_progress,
    )
    if not weighs:
        return posterior
    diagnostics = replace(posterior.diagnostics, seconds=time.perf_counter() - began)
    if options.engine == "natural_gradient":
        diagnostics = replace(diagnostics, iterations=passes + diagnostics.iterations)
    return replace(
        posterior,
        diagnostics=diagnostics,
        serial_correlation_factor=found.serial_correlation_factor,
        discounted=found.discounted,
        discounted_share=found.discounted_share,
    )
