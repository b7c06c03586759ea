"""From a panel and options to a posterior: picks the engine."""

from elasticity_assets.inference import natural_gradient, nuts, svi
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
    options = options or FitOptions()
    engine = {"natural_gradient": natural_gradient, "svi": svi, "nuts": nuts}[options.engine]
    own_options = getattr(options, options.engine)
    return engine.fit(panel, priors, options.likelihood, own_options, start=start, on_progress=on_progress)
