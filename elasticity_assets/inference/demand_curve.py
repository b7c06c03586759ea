"""A product's demand curve: the units that its fit expects at each price, beside the sales it was fitted to."""

from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, Summary, mixture_quantile
from elasticity_assets.inference.season import sine_and_cosine

_POINTS = 60
_NARROWEST = 0.05  # log price: a product of one price gets a curve this far to both sides


@dataclass(frozen=True)
class DemandCurve:
    """Expected units of one product against its price, and m observed periods.

    Attributes
    ----------
    product : str
    price : float array, shape (G,)
        Ascending, over the range of the observed prices; currency a unit.
    units, low, high : float arrays, shape (G,)
        Expected units a period at the posterior mean of the elasticity, and the ends of the 90% credible interval that
        the elasticity gives them.
    observed_price, observed_units : float arrays, shape (m,)
        Units as they would have been in a period of average period and control effects.
    discounted : bool array, shape (m,)
        Which periods count less in the fit, since their units are outlying.
    """

    product: str
    price: np.ndarray
    units: np.ndarray
    low: np.ndarray
    high: np.ndarray
    observed_price: np.ndarray
    observed_units: np.ndarray
    discounted: np.ndarray


def is_fitted_to(posterior: CategoryPosterior, panel: Panel) -> bool:
    """Whether the panel has the products, periods and controls of the fit."""
    return (
        np.array_equal(posterior.product, panel.product)
        and np.array_equal(posterior.period, panel.period)
        and posterior.control == panel.control
    )


def demand_curve(
    panel: Panel, posterior: CategoryPosterior, number: int, *, centred_price: bool
) -> DemandCurve:
    """Work out one product's demand curve at its usual level, in a period of average effects, slow demand and season.

    The curves turn about the product's mean log price, where its level is known best.

    Parameters
    ----------
    panel : Panel
        That the posterior was fitted to.
    posterior : CategoryPosterior
    number : int
        Index of the product.
    centred_price : bool
        Whether the fit's log prices are centred by product.
    """
    seen = np.flatnonzero(panel.observed[number])
    log_price = panel.log_price[number, seen].astype(np.float64)
    centre = float(panel.mean_log_price()[number])
    effect = posterior.period_effect[seen] + panel.controls[number, seen].astype(np.float64) @ (
        posterior.weight @ posterior.control_mean
    )
    if posterior.slow_demand.size:
        effect = effect + posterior.slow_demand[number, seen]
    if posterior.season.size:
        effect = effect + posterior.season[number] @ sine_and_cosine(posterior.period)[:, seen]
    average = float(effect.mean()) if len(seen) else 0.0
    weight, mean, var = (
        posterior.weight,
        posterior.product_mean[:, [number]],
        posterior.product_var[:, [number]],
    )
    elasticity = float((weight @ mean)[0])
    ends = [float(mixture_quantile(q, weight, mean, var)[0]) for q in (0.05, 0.95)]

    first, last = (log_price.min(), log_price.max()) if len(seen) else (centre, centre)
    if last - first < _NARROWEST:
        first, last = centre - _NARROWEST, centre + _NARROWEST
    grid = np.linspace(first, last, _POINTS)
    level = float(posterior.level[number]) + average + (0.0 if centred_price else elasticity * centre)
    units, one, other = (
        panel.unit * np.exp(level + slope * (grid - centre)) for slope in (elasticity, *ends)
    )
    discounted = posterior.discounted[posterior.discounted[:, 0] == number, 1]
    return DemandCurve(
        str(panel.product[number]),
        np.exp(grid),
        units,
        np.minimum(one, other),
        np.maximum(one, other),
        np.exp(log_price),
        panel.unit * panel.units[number, seen] * np.exp(average - effect),
        np.isin(seen, discounted),
    )


def most_and_least_certain(summary: Summary) -> dict[str, int]:
    """Choose the products whose elasticities have the smallest and the largest sd: index by what it is.

    Parameters
    ----------
    summary : Summary
        Of the products' elasticities.
    """
    if len(summary.sd) == 0:
        return {}
    if len(summary.sd) == 1:
        return {"the only product": 0}
    return {"most certain": int(np.argmin(summary.sd)), "least certain": int(np.argmax(summary.sd))}
