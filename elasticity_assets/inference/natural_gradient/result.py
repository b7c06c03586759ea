"""Runs of the natural-gradient iteration over a grid of tau, put together to a posterior, and doubts about them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from elasticity_assets.inference.natural_gradient.blocks import Blocks
from elasticity_assets.inference.natural_gradient.iteration import OF_SCALES
from elasticity_assets.inference.natural_gradient.state import AnyRun, Run, State
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics
from elasticity_assets.inference.priors import Priors

# Beside the mode of tau so many times the tolerance suffice, up to so many posterior sds: such points weigh less, and
# lie as far off to the one side as to the other.
_OFF_MODE, _LARGEST_OFF_MODE = 20.0, 0.04


@dataclass(frozen=True)
class FittedCells:
    """What a fit at the mode of all scales says of each cell of its panel.

    Attributes
    ----------
    log_mean, log_mean_var : float arrays, shape (n, T)
        Posterior of eta, log expected units, of every cell; those of weight 0 that have a price are predicted
        from the others.
    dispersion, log_dispersion_sd : float arrays, shape (n,)
        Of each row, as of `CategoryPosterior`.
    """

    log_mean: np.ndarray
    log_mean_var: np.ndarray
    dispersion: np.ndarray
    log_dispersion_sd: np.ndarray


def posterior_of_runs(
    blocks: Blocks,
    priors: Priors,
    likelihood: Likelihood,
    runs: Sequence[Run],
    weight: np.ndarray,
    mode_at: int,
    options: NaturalGradientOptions,
    *,
    log_base: float,
    began: float,
) -> CategoryPosterior:
    """Put the grid's points of a problem with one slope together.

    Parameters
    ----------
    blocks : Blocks
        All products, or a part of them, which then share the others' category.
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    runs : sequence of Run
        One a point of tau's grid; arrays of NumPy.
    weight : array, shape (G,)
    mode_at : int
        Which run is at the mode.
    options : NaturalGradientOptions
    log_base : float
        Part of the log likelihood that holds no parameter.
    began : float
        When, by time.perf_counter.
    """
    panel, mode = blocks.panel, runs[mode_at]
    K = len(panel.control)
    theta = np.stack([blocks.by_product(run.state.theta) for run in runs])
    # Room for more controls than there are holds their prior.
    empty = np.arange(2 + K, 2 + blocks.rows.controls.shape[1])
    shared = np.delete(np.stack([run.state.shared for run in runs]), empty, axis=1).astype(np.float64)
    var = np.stack([run.found.shared_var for run in runs]).astype(np.float64)
    theta_cov = np.stack([blocks.by_product(run.found.theta_cov) for run in runs])
    theta_lead = np.stack([blocks.by_product(run.found.theta_lead)[:, : 2 + K] for run in runs])
    lead_cov = np.stack([run.found.lead_cov[: 2 + K, : 2 + K] for run in runs]).astype(np.float64)
    centre = weight @ shared
    # The model's level, from the one at the product's own mean price and controls.
    level = theta[:, -1] - blocks.by_product(blocks.rows.slope_mean)[0] * theta[:, 0]
    level = weight @ (level - shared[:, 2 : 2 + K] @ blocks.by_product(blocks.rows.control_mean)[:K])
    scale = np.exp(mode.state.log_scale.astype(np.float64))
    # What the level's mean holds of the periods' mean, by their shares of its prior variance.
    of_periods = scale[-2] ** 2 / panel.n_periods
    shift = (centre[1] - priors.level_mean) * of_periods / (of_periods + priors.level_sd**2)
    dispersion, log_dispersion_sd = dispersions(
        blocks, mode.state, negative_binomial=likelihood == "negative_binomial"
    )
    passes = int(mode.passes)
    warnings = reasons_for_doubt(runs, mode, options)
    diagnostics = FitDiagnostics(
        engine="natural_gradient",
        likelihood=likelihood,
        zero_truncated=panel.zero_truncated,
        device=f"{jax.default_backend()} x{jax.device_count()}",
        iterations=passes,
        converged=not warnings,
        elbo=float(mode.found.objective) + log_base,
        seconds=time.perf_counter() - began,
        warnings=warnings,
    )
    return CategoryPosterior(
        category=panel.category,
        product=panel.product,
        period=panel.period,
        control=panel.control,
        prior_mean=priors.category_mean,
        prior_var=priors.category_var,
        tau=np.exp([float(run.state.log_scale[0]) for run in runs]),
        weight=weight,
        category_mean=shared[:, 0],
        category_var=var[:, 0],
        product_mean=theta[:, 0],
        product_var=theta_cov[:, 0, 0],
        product_gain=theta_lead[:, 0, 0] / var[:, :1],
        control_mean=shared[:, 2 : 2 + K],
        control_cov=lead_cov[:, 2:, 2:],
        control_gain=lead_cov[:, 0, 2:] / var[:, :1],
        product_control_cov=np.swapaxes(theta_lead[:, 0, 2:], 1, 2),
        level=level - shift,
        period_effect=centre[2 + K : 2 + K + panel.n_periods] + shift,
        dispersion=dispersion,
        log_dispersion_sd=log_dispersion_sd,
        level_mean=float(centre[1] - shift),
        level_spread=float(scale[-3]),
        period_spread=float(scale[-2]),
        log_dispersion_mean=float(mode.state.dispersion_centre),
        log_dispersion_spread=float(scale[-1]),
        **_season(theta[mode_at], scale),
        **_slow_demand(blocks, mode),
        trace=mode.trace[np.isfinite(mode.trace)].astype(np.float64) + log_base,
        diagnostics=diagnostics,
    )


def dispersions(blocks: Blocks, state: State, *, negative_binomial: bool) -> tuple[np.ndarray, np.ndarray]:
    """Give the products' dispersions and the sds of their logs, shape (n,) each; infinite and 0 for Poisson."""
    if not negative_binomial:
        return np.full(blocks.panel.n_products, np.inf), np.zeros(blocks.panel.n_products)
    return np.exp(blocks.by_product(state.log_size)), np.sqrt(blocks.by_product(state.size_var))


def _season(theta: np.ndarray, scale: np.ndarray) -> dict[str, Any]:
    """Take what the posterior holds of seasons, of theta (d, n); nothing where the model has none."""
    if len(theta) == 2:
        return {}
    return {"season": theta[1:-1].T, "season_spread": float(scale[1])}


def _slow_demand(blocks: Blocks, mode: Run) -> dict[str, Any]:
    """Take what the posterior holds of slow demand; nothing where the model has none."""
    slow, common = mode.state.slow, mode.state.slow_common
    if not slow.mean.shape[1]:
        return {}
    return {
        "slow_demand": blocks.by_cell(slow.mean).astype(np.float32),
        "slow_demand_sd": np.exp(blocks.by_product(slow.log_sd)),
        "slow_demand_persistence": float(1.0 / (1.0 + np.exp(-float(common.logit_persistence)))),
        "slow_demand_centre": float(common.centre),
        "slow_demand_spread": float(np.exp(common.log_spread)),
    }


def tolerance_off_mode(options: NaturalGradientOptions) -> float:
    """How many posterior sds a mean may still move beside the mode of tau."""
    return max(options.tolerance, min(_OFF_MODE * options.tolerance, _LARGEST_OFF_MODE))


def reasons_for_doubt(
    runs: Sequence[AnyRun], mode: AnyRun, options: NaturalGradientOptions
) -> tuple[str, ...]:
    """Why a fit is not to be trusted, in words; empty if it is.

    Parameters
    ----------
    runs : sequence of Run
        At the points of tau's grid.
    mode : Run
        At its mode.
    options : NaturalGradientOptions
    """
    moves = np.array([float(run.found.ahead) for run in runs])
    if not np.isfinite(moves).all():
        return ("not converged: the iteration left the range of float32; look for mistyped units or prices",)
    moving = [float(mode.found.ahead)] if float(mode.found.ahead) > options.tolerance else []
    moving += list(moves[moves > tolerance_off_mode(options)])
    if moving:
        return (
            f"not converged: after {options.max_passes} passes a parameter still moved by {max(moving):.2g} "
            "posterior sds; raise max_passes",
        )
    if float(mode.found.scale_move) > OF_SCALES * options.tolerance:
        return (f"not converged: after {options.max_passes} passes a scale still moved; raise max_passes",)
    return ()
