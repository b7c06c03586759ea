"""Runs of the iteration over a grid of tau, put together to the posterior of products in zones."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from elasticity_assets.inference.natural_gradient.result import reasons_for_doubt
from elasticity_assets.inference.natural_gradient.zones.state import (
    DISPERSION_SPREAD,
    LEVEL_SPREAD,
    PERIOD_SPREAD,
    ROW_SPREAD,
    SEASON_SPREAD,
    TAU,
    ZONE_SPREAD,
    Run,
    layout_of,
)
from elasticity_assets.inference.natural_gradient.zones.tiles import Tiling
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics
from elasticity_assets.inference.priors import Priors
from elasticity_assets.inference.zoned_posterior import ZonedPosterior


def posterior_of_runs(
    tiling: Tiling,
    priors: Priors,
    likelihood: Likelihood,
    runs: Sequence[Run],
    weight: np.ndarray,
    mode_at: int,
    options: NaturalGradientOptions,
    *,
    log_base: float,
    began: float,
) -> ZonedPosterior:
    """Put the grid's points together; parameters as of the arrow's `posterior_of_runs`."""
    panel, layout, mode = tiling.panel, layout_of(tiling.tiles, tiling.common), runs[mode_at]
    n, T, Z = panel.n_products, panel.rows.n_periods, panel.n_zones
    share = tiling.by_row(tiling.tiles.share)

    def by_product(of_row: np.ndarray) -> np.ndarray:
        return np.bincount(panel.product_of_row, of_row, minlength=n)

    shared = np.stack([run.state.shared for run in runs]).astype(np.float64)
    lead = np.stack([run.spreads.lead for run in runs]).astype(np.float64)
    together_lead = np.stack([run.spreads.together_lead for run in runs]).astype(np.float64)[:, :n]
    var, alpha = lead[:, 0, 0], layout.alpha
    beta = shared[:, :1] + np.stack([run.state.slope for run in runs])[:, :n]
    covariates = tiling.common.covariates.astype(np.float64)
    zone = (shared[:, layout.zone] + shared[:, layout.eta] @ covariates.T)[:, :Z]
    theta = np.stack([tiling.by_row(run.state.theta) for run in runs])
    row = beta[:, panel.product_of_row] + zone[:, panel.zone_of_row] + theta[:, 0]
    together = np.stack([by_product(own * share) for own in row])
    # What covariates add is known from all products: its variance is part of no product's own data.
    covariate = np.zeros((n, covariates.shape[1]))
    np.add.at(covariate, panel.product_of_row, share[:, None] * covariates[panel.zone_of_row])
    lead_mode, eta = lead[mode_at], layout.eta
    eta_cov = lead_mode[eta, eta] - np.outer(lead_mode[eta, 0], lead_mode[0, eta]) / var[mode_at]
    centre, scale = weight @ shared, np.exp(mode.state.log_scale.astype(np.float64))
    # What the level's mean holds of the periods' mean, by their shares of its prior variance.
    of_periods = scale[PERIOD_SPREAD] ** 2 / T
    shift = (centre[1] - priors.level_mean) * of_periods / (of_periods + priors.level_sd**2)
    level = weight @ (theta[:, 1] + shared[:, 1:2]) - shift
    log_size, log_size_sd = np.full(panel.n_rows, np.inf), np.zeros(panel.n_rows)
    if likelihood == "negative_binomial":
        log_size, log_size_sd = (
            tiling.by_row(mode.state.log_size),
            np.sqrt(tiling.by_row(mode.state.size_var)),
        )

    count = by_product(np.ones(panel.n_rows))
    shocks = mode.state.shock_common.centre_var > 0
    shock_sd = np.where(shocks, np.exp(mode.state.log_sd[1, :n].astype(np.float64)), 0.0)
    level_together, dispersion_together = over_all_zones(
        level, np.exp(log_size), shock_sd, panel.product_of_row
    )
    warnings = reasons_for_doubt(runs, mode, options)
    diagnostics = FitDiagnostics(
        engine="natural_gradient",
        likelihood=likelihood,
        zero_truncated=panel.rows.zero_truncated,
        device=f"{jax.default_backend()} x1",
        iterations=int(mode.passes),
        converged=not warnings,
        elbo=float(mode.found.objective) + log_base,
        seconds=time.perf_counter() - began,
        warnings=warnings,
    )
    products = CategoryPosterior(
        category=panel.rows.category,
        product=panel.product,
        period=panel.rows.period,
        control=panel.rows.control,
        prior_mean=priors.category_mean,
        prior_var=priors.category_var,
        tau=np.exp([float(run.state.log_scale[TAU]) for run in runs]),
        weight=weight,
        category_mean=shared[:, 0],
        category_var=var,
        product_mean=together,
        product_var=np.stack([run.spreads.together for run in runs])[:, :n].astype(np.float64),
        product_gain=together_lead[:, :, 0] / var[:, None],
        control_mean=shared[:, alpha],
        control_cov=lead[:, alpha, alpha],
        control_gain=lead[:, 0, alpha] / var[:, None],
        product_control_cov=together_lead[:, :, alpha],
        level=level_together,
        period_effect=centre[layout.period][:T] + shift,
        dispersion=dispersion_together,
        log_dispersion_sd=by_product(log_size_sd) / count,
        level_mean=float(centre[1] - shift),
        level_spread=float(scale[LEVEL_SPREAD]),
        period_spread=float(scale[PERIOD_SPREAD]),
        log_dispersion_mean=float(mode.state.dispersion_centre),
        log_dispersion_spread=float(scale[DISPERSION_SPREAD]),
        trace=mode.trace[np.isfinite(mode.trace)].astype(np.float64) + log_base,
        diagnostics=diagnostics,
        zones_prior_var=by_product(share**2) * (scale[ZONE_SPREAD] ** 2 + scale[ROW_SPREAD] ** 2)
        + np.einsum("nj,jk,nk->n", covariate, eta_cov, covariate),
        **_season(mode, scale, n),
        **_slow_demand(mode, n, T, slow=priors.slow_demand is not None),
    )
    gain = np.stack([tiling.by_row(run.spreads.row_category) for run in runs]) / var[:, None]
    return ZonedPosterior(
        products=products,
        row=panel.rows.product,
        zone=panel.zone,
        product_of_row=panel.product_of_row,
        zone_of_row=panel.zone_of_row,
        covariate=panel.covariate,
        usual_mean=beta,
        usual_var=np.stack([run.spreads.product for run in runs])[:, :n].astype(np.float64),
        row_mean=row,
        row_var=np.stack([tiling.by_row(run.spreads.row) for run in runs]),
        row_gain=gain,
        row_shrinkage=weight @ np.stack([tiling.by_row(run.spreads.row_left) for run in runs]),
        zone_mean=zone,
        zone_var=np.stack([run.spreads.zone for run in runs])[:, :Z].astype(np.float64),
        covariate_mean=shared[:, layout.eta],
        covariate_var=np.diagonal(lead, axis1=1, axis2=2)[:, layout.eta],
        row_level=level,
        row_dispersion=np.exp(log_size),
        row_log_dispersion_sd=log_size_sd,
        periods=mode.state.periods[:n, :T].astype(np.float32),
        zone_spread=float(scale[ZONE_SPREAD]),
        row_spread=float(scale[ROW_SPREAD]),
        shock_sd=shock_sd,
    )


def over_all_zones(
    level: np.ndarray, dispersion: np.ndarray, shock_sd: np.ndarray, product_of_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Level and dispersion of products' units in all their zones together, shapes (n,).

    Units of zones with means mu_z and sizes r_z have the variance sum mu_z + sum mu_z^2 / r_z; a shock common to them
    adds (nu sum mu_z)^2. With shares w of the mean, 1 / r = sum w_z^2 / r_z + nu^2.

    Parameters
    ----------
    level, dispersion : arrays, shape (R,)
    shock_sd : array, shape (n,)
    product_of_row : int array, shape (R,)
    """
    n = len(shock_sd)
    mean = np.exp(level)
    total = np.bincount(product_of_row, mean, minlength=n)
    share = mean / total[product_of_row]
    added = np.bincount(product_of_row, share**2 / dispersion, minlength=n) + shock_sd**2
    return np.log(total), np.divide(1.0, added, out=np.full(n, np.inf), where=added > 0)


def _season(mode: Run, scale: np.ndarray, n: int) -> dict[str, Any]:
    """Take what the posterior holds of seasons; nothing where the model has none."""
    if not mode.state.season.shape[1]:
        return {}
    return {
        "season": mode.state.season[:n].astype(np.float64),
        "season_spread": float(scale[SEASON_SPREAD]),
    }


def _slow_demand(mode: Run, n: int, periods: int, *, slow: bool) -> dict[str, Any]:
    """Take what the posterior holds of slow demand; nothing where the model has none."""
    if not slow:
        return {}
    common = mode.state.slow_common
    return {
        "slow_demand": mode.state.periods[:n, :periods].astype(np.float32),
        "slow_demand_sd": np.exp(mode.state.log_sd[0, :n].astype(np.float64)),
        "slow_demand_persistence": float(1.0 / (1.0 + np.exp(-float(common.logit_persistence)))),
        "slow_demand_centre": float(common.centre),
        "slow_demand_spread": float(np.exp(common.log_spread)),
    }
