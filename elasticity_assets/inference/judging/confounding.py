"""Whether prices follow demand: a placebo, costs and price tests where files give them, from a fit's working model.

Prices of the periods to come cannot have sold anything yet. Where they seem to, they were set in view of what also
moves sales, and elasticities are biased. Costs say the same in another way: what of a price they do not explain has an
effect of its own on sales only if it was set in view of demand. Prices that were drawn at random say it best: their
slope is the elasticity, and the gap to that of the other prices the bias. None needs another fit (`working_model`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import chdtrc, ndtri_exp

from elasticity_assets.inference.instrument import PRICE_RESIDUAL, first_stage, is_price_residual
from elasticity_assets.inference.judging.limits import VAGUE_SD, follow_demand, gap_beyond_chance
from elasticity_assets.inference.judging.observed_controls import ObservedControl, strongest_control
from elasticity_assets.inference.judging.working_model import WorkingModel
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.price_lags import known_log_price, lagged
from elasticity_assets.inference.priors import Priors
from elasticity_assets.inference.randomized_prices import (
    PRICE_NOT_RANDOM,
    RandomizedPrices,
    randomized_prices,
)
from elasticity_assets.inference.summaries import category_summary

LEADS = 2
"""Periods to come whose prices are the placebo."""


@dataclass(frozen=True)
class ConfoundingTests:
    """What a category's sales say of whether its prices follow demand; NaN where they say nothing.

    Attributes
    ----------
    category : str
    elasticity : float
        The category's, of the fit.
    lead_effect, lead_z : float
        Effects of the log prices of the next LEADS periods, added up; in standard errors. Above 0 where prices are high
        because demand is.
    instrument_strength : float
        First-stage F of the log cost.
    instrument_doubt : str
        Why costs are not gone by, in words; empty where they are, or where there are none.
    instrument_used : bool
        Whether the fit has the instrument already: `elasticity` is the instrumented one.
    instrumented_elasticity, instrumented_elasticity_sd : float
        The category's, from what costs did to prices; only where they are a strong instrument.
    hausman_z : float
        Effects of what costs leave of the price, now, before and after: their joint test as a normal deviate, with the
        sign of their sum. 0 but for chance if prices do not follow demand.
    randomized_doubt : str
        Why prices drawn at random are not gone by, in words; empty where they are, or where there are none.
    randomized_used : bool
        Whether the fit has them already: `elasticity` is that of random prices.
    randomized_elasticity, randomized_elasticity_sd : float
        The category's, from prices drawn at random; only where there are enough.
    randomized_gap_z : float
        Slope of the other prices less that of random ones, in standard errors. Above 0 where observed prices make sales
        look less elastic than they are; 0 but for chance if prices do not follow demand. NaN where hardly any other
        price moves.
    strongest_control : ObservedControl
        The control of the files that would confound most, were it not observed.
    """

    category: str
    elasticity: float
    lead_effect: float
    lead_z: float
    instrument_strength: float
    instrument_doubt: str
    instrument_used: bool
    instrumented_elasticity: float
    instrumented_elasticity_sd: float
    hausman_z: float
    randomized_doubt: str = ""
    randomized_used: bool = False
    randomized_elasticity: float = np.nan
    randomized_elasticity_sd: float = np.nan
    randomized_gap_z: float = np.nan
    strongest_control: ObservedControl = field(default_factory=ObservedControl)

    @property
    def rests_on_random_prices(self) -> bool:
        """Whether the elasticity is that of prices drawn at random, which say enough."""
        return self.randomized_used and self.randomized_elasticity_sd <= VAGUE_SD

    @property
    def prices_follow_demand(self) -> bool:
        """Whether what is published of the category is biased, as far as any of the tests shows.

        What rests on prices drawn at random is not, whatever the other prices follow; where those say too little, the
        other tests count.
        """
        if self.rests_on_random_prices:
            return False
        by_costs = not self.instrument_used and follow_demand(self.hausman_z)
        return follow_demand(self.lead_z) or by_costs or gap_beyond_chance(self.randomized_gap_z)


def look_for_confounding(panel: Panel, posterior: CategoryPosterior, priors: Priors) -> ConfoundingTests:
    """Test whether a category's prices follow demand.

    Parameters
    ----------
    panel : Panel
        What was fitted.
    posterior : CategoryPosterior
        Not pooled.
    priors : Priors
    """
    price, found = known_log_price(panel), first_stage(panel)
    used, by_random_prices = PRICE_RESIDUAL in panel.control, PRICE_NOT_RANDOM in panel.control
    leads = [lagged(price, -lead) for lead in range(1, LEADS + 1)]
    strong = found is not None and not (found.doubt or used or by_random_prices)
    residuals = list(found.residual) if found is not None and strong else []
    drawn = randomized_prices(panel)
    rest = [] if drawn is None or drawn.doubt or by_random_prices else list(drawn.rest)
    model = WorkingModel.of(panel, posterior, priors, [*leads, *residuals, *rest])
    lead_effect = lead_z = instrumented = instrumented_sd = hausman_z = np.nan
    if np.ptp(price) > 0 and panel.n_periods > LEADS:
        placebo = model.solve(range(LEADS))
        lead_effect, lead_z = float(placebo.effect.sum()), placebo.z(np.ones(LEADS))
    of_sales = model.of_sales_alone()  # random prices and costs take no credit for what tests elsewhere found
    if strong:
        with_costs = of_sales.solve(range(LEADS, LEADS + len(residuals)))
        instrumented, instrumented_sd = with_costs.category_mean, with_costs.category_sd
        covs = [with_costs.cov]
        if panel.n_products > len(residuals) + 1:  # of fewer products the robust one has not the rank
            covs.append(with_costs.robust_cov)
        hausman_z = _joint_z(with_costs.effect, covs)
    own = category_summary(posterior)
    if used:
        own_controls = [k for k, name in enumerate(panel.control) if is_price_residual(name)]
        cov = np.einsum("g,gkl->kl", posterior.weight, posterior.control_cov)
        instrumented, instrumented_sd = float(own.mean[0]), float(own.sd[0])
        effects = posterior.weight @ posterior.control_mean
        hausman_z = _joint_z(effects[own_controls], [cov[np.ix_(own_controls, own_controls)]])
    return ConfoundingTests(
        panel.category,
        float(own.mean[0]),
        lead_effect,
        lead_z,
        np.nan if found is None else found.strength,
        "" if found is None or used else found.doubt,
        used,
        instrumented,
        instrumented_sd,
        hausman_z,
        **_by_random_prices(panel, posterior, drawn, of_sales, len(rest)),
        strongest_control=strongest_control(model, posterior),
    )


def _by_random_prices(
    panel: Panel,
    posterior: CategoryPosterior,
    drawn: RandomizedPrices | None,
    model: WorkingModel,
    n_rest: int,
) -> dict[str, Any]:
    """Say what prices drawn at random tell; what of the others might be added comes last in the model."""
    used = PRICE_NOT_RANDOM in panel.control
    mean = sd = gap_z = np.nan
    if used:
        own, k = category_summary(posterior), panel.control.index(PRICE_NOT_RANDOM)
        mean, sd = float(own.mean[0]), float(own.sd[0])
        effect = posterior.control_mean[:, k]
        centre = float(posterior.weight @ effect)
        var = float(posterior.weight @ (posterior.control_cov[:, k, k] + (effect - centre) ** 2))
        gap_z = centre / float(np.sqrt(var))
    elif n_rest:
        last = range(model.n_added - n_rest, model.n_added)
        solved = model.solve(last)
        mean, sd = solved.category_mean, solved.category_sd
        gap_z = solved.z(np.eye(n_rest)[0])
    if drawn is not None and not drawn.comparable:
        gap_z = np.nan
    return {
        "randomized_doubt": "" if drawn is None or used else drawn.doubt,
        "randomized_used": used,
        "randomized_elasticity": mean,
        "randomized_elasticity_sd": sd,
        "randomized_gap_z": gap_z,
    }


def _joint_z(effect: np.ndarray, covs: Sequence[np.ndarray]) -> float:
    """Wald test of all effects together, by the covariance that says least, as a normal deviate of its two tails."""
    wald = min(float(effect @ np.linalg.lstsq(cov, effect)[0]) for cov in covs)
    with np.errstate(divide="ignore"):
        # As chi2.logsf of scipy.stats, whose import takes longer than all of a refit's tests.
        log_tail = float(np.log(chdtrc(len(effect), wald)))
    return float(-np.sign(effect.sum()) * ndtri_exp(log_tail + np.log(0.5)))
