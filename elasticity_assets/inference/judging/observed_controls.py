"""What the controls that files give explain of prices and of sales: a measure for what something unseen would have to.

A share that would overturn an elasticity says little by itself; that the display, which everybody knows to matter,
explains less does (Cinelli and Hazlett 2020, 4.4).
"""

from dataclasses import dataclass, replace

import numpy as np

from elasticity_assets.inference.judging.working_model import WorkingModel
from elasticity_assets.inference.made_controls import is_made
from elasticity_assets.inference.posterior import CategoryPosterior

_MOST = 2  # controls that are looked at, as each costs a solve: those whose effects on sales are surest


@dataclass(frozen=True)
class ObservedControl:
    """One control of the files.

    Attributes
    ----------
    name : str
        Empty where the files give none.
    of_sales, of_prices : float
        Shares that it explains of what all else in the model leaves of sales, and of prices: partial R^2, as of
        `WorkingModel.strength`.
    """

    name: str = ""
    of_sales: float = np.nan
    of_prices: float = np.nan

    @property
    def confounding(self) -> float:
        """How much it would confound, were it not observed: `bias_per_confounding` times this is the bias."""
        return float(np.sqrt(self.of_sales * self.of_prices / (1.0 - self.of_prices)))


def strongest_control(model: WorkingModel, posterior: CategoryPosterior) -> ObservedControl:
    """Find the control that would confound most, were it not observed.

    Parameters
    ----------
    model : WorkingModel
        Of the fit.
    posterior : CategoryPosterior
    """
    given = [k for k, name in enumerate(posterior.control) if not is_made(name)]
    if not given:
        return ObservedControl()
    mean = posterior.weight @ posterior.control_mean
    t_squared = mean**2 / (posterior.weight @ posterior.control_var)
    of_sales = t_squared / (t_squared + np.count_nonzero(model.precision))
    same, found = model.with_one_slope(), []
    beside = same.solve().category_sd
    for k in sorted(given, key=lambda k: -t_squared[k])[:_MOST]:
        of_prices = 1.0 - (as_added(same, k).solve().category_sd / beside) ** 2
        found.append(ObservedControl(posterior.control[k], float(of_sales[k]), max(of_prices, 0.0)))
    return max(found, key=lambda control: control.confounding)


def as_added(model: WorkingModel, control: int) -> WorkingModel:
    """Take one of a fit's own controls for one that might be added to the others."""
    K = model.controls.shape[2] - model.n_added
    order = [*(k for k in range(K) if k != control), control]
    periods = range(2 + model.controls.shape[2], len(model.shared_precision))
    shared = [0, 1, *(2 + k for k in order), *periods]
    return replace(
        model,
        controls=model.controls[:, :, order],
        n_added=1,
        shared_precision=model.shared_precision[shared],
        shared_mean=model.shared_mean[shared],
    )
