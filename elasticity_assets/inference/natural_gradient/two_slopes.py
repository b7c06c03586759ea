"""How units respond to the regular price, and how to a promotion's discount: two slopes a product instead of one.

    eta_it = delta_i + beta_i r_it + phi_i d_it + z_it' alpha + gamma_t
    r = log regular price,  d = log price paid - log regular price

Everything else is the model of one slope, whose fit it starts from. The spreads tau_beta and tau_phi of the two slopes
are each integrated over in its turn, the other at its mode: a slope whose own tau is plugged in would have intervals
that are too narrow with few products. Derivation: docs/model.md.
"""

from dataclasses import replace

import jax
import numpy as np

from elasticity_assets.inference.cell_weights import CellWeights, weighed
from elasticity_assets.inference.devices import from_devices
from elasticity_assets.inference.experiments import without_experiments
from elasticity_assets.inference.natural_gradient.engine import Problem
from elasticity_assets.inference.natural_gradient.result import reasons_for_doubt
from elasticity_assets.inference.natural_gradient.state import Run, State
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, Summary, TwoSlopes, summarize
from elasticity_assets.inference.price_lags import is_lag
from elasticity_assets.inference.priors import Priors

PROMOTION = 0.01
"""By how much, as a fraction of the regular price, a price is lower in a promotion at least."""

_ROUNDING = 1e-5  # of differences of logs in float32
_OFF_MODE = 0.05  # posterior sds that means may still move beside the mode of tau


def fit(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: NaturalGradientOptions,
    posterior: CategoryPosterior,
) -> TwoSlopes:
    """Fit both slopes of one category's products, by the natural-gradient engine.

    Parameters
    ----------
    panel : Panel
        With regular prices.
    priors : Priors
        Both slopes have the elasticity's.
    likelihood : {'negative_binomial', 'poisson'}
    options : NaturalGradientOptions
    posterior : CategoryPosterior
        Of one slope, of this panel, by any engine: where to start, and what each cell counts.

    Raises
    ------
    ValueError
        If the panel has no regular prices.
    """
    if not panel.has_regular_price:
        raise ValueError(f"category {panel.category!r} has no regular prices")
    # What was found elsewhere is of one slope.
    counted = weighed(without_experiments(panel), CellWeights.of(posterior))
    regressors = panel.log_regular_price, panel.log_discount()
    problem = Problem(counted, priors, likelihood, options.max_passes, regressors)
    mode = problem.run(problem.start(posterior), 1.0, options.tolerance)
    (regular, lasting), warnings = _first_slope(problem, mode, options)
    problem = Problem(counted, priors, likelihood, options.max_passes, regressors[::-1])
    mode = problem.run(_exchanged(mode.state), 1.0, options.tolerance)
    (promotion, _), more = _first_slope(problem, mode, options)

    real = slice(panel.n_products)
    promoted = panel.observed & (panel.log_discount() <= np.log1p(-PROMOTION) + _ROUNDING)
    return TwoSlopes(
        category=panel.category,
        product=panel.product,
        regular=regular,
        regular_long_run=lasting,
        promotion=promotion,
        n_periods=panel.observed.sum(axis=1)[real],
        n_promotion_periods=promoted.sum(axis=1)[real],
        log_regular_price_sd=_sd(panel, panel.log_regular_price)[real],
        log_discount_sd=_sd(panel, panel.log_discount())[real],
        warnings=tuple(dict.fromkeys([*warnings, *more])),
    )


def _first_slope(
    problem: Problem, mode: Run, options: NaturalGradientOptions
) -> tuple[tuple[Summary, Summary], tuple[str, ...]]:
    """Integrate the first slope over its own tau, alone and with the lags' effects; with both why not to trust them."""
    beside_mode = replace(options, tolerance=max(options.tolerance, _OFF_MODE))
    runs, weight, mode_at = problem.over_tau(mode, beside_mode)
    by_product = problem.blocks.by_product
    mean = np.stack([by_product(run.state.theta)[0] for run in runs])
    var = np.stack([by_product(run.found.theta_cov)[0, 0] for run in runs])
    # Of (c, alpha), what s begins with, those effects that are the lags'.
    lead = runs[mode_at].found.lead_cov.shape[0]
    controls = problem.blocks.panel.control
    lags = np.zeros(lead)
    first = 1 + problem.blocks.rows.slopes.shape[1]
    lags[first : first + len(controls)] = [is_lag(name) for name in controls]
    later = np.array([run.state.shared[:lead] @ lags for run in runs])
    later_var = np.array([lags @ run.found.lead_cov @ lags for run in runs])
    common = np.stack([lags @ by_product(run.found.theta_lead)[0] for run in runs])
    lasting = summarize(weight, mean + later[:, None], var + later_var[:, None] + 2.0 * common)
    of_mode = reasons_for_doubt([runs[mode_at]], runs[mode_at], options)
    doubts = *of_mode, *reasons_for_doubt(runs, runs[mode_at], beside_mode)
    return (summarize(weight, mean, var), lasting), doubts


def _exchanged(state: State) -> State:
    """Let the two slopes change places."""

    def exchange(values: jax.Array, axis: int) -> np.ndarray:
        order = np.arange(values.shape[axis])
        order[:2] = 1, 0
        return np.take(from_devices(values), order, axis)

    return state._replace(
        theta=exchange(state.theta, 1),
        shared=exchange(state.shared, 0),
        log_scale=exchange(state.log_scale, 0),
    )


def _sd(panel: Panel, values: np.ndarray) -> np.ndarray:
    """Take the standard deviation of each row over its observed periods, float64, shape (N,)."""
    return np.sqrt(panel.mean_of_observed(panel.centred(values).astype(np.float64) ** 2))
