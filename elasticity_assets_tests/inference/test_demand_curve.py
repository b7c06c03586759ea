"""Demand curves and own-data estimates, against fits of simulated sales."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference import natural_gradient
from elasticity_assets.inference.demand_curve import demand_curve, is_fitted_to, most_and_least_certain
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, summarize
from elasticity_assets.inference.priors import ARTICLE, DEFAULT, Fixed, Priors
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets.inference.summaries import own_data_estimates

SIMULATION = Simulation(products=6, weeks=60, categories=1, control_effects=(0.4,), likelihood="poisson")


def fit(panel: Panel, priors: Priors = DEFAULT, likelihood: Likelihood = "poisson") -> CategoryPosterior:
    return natural_gradient.fit(panel, priors, likelihood, NaturalGradientOptions(grid_points=1))


@pytest.fixture(scope="module")
def panel() -> Panel:
    (panel,), _ = simulated_panels(SIMULATION, seed=3)
    one_price = panel.log_price.copy()
    one_price[0] = one_price[0, 0]
    return replace(panel, log_price=one_price)


@pytest.mark.parametrize("priors", [DEFAULT, ARTICLE], ids=["centred", "not centred"])
def test_points_scatter_about_the_curve_by_chance_alone(panel: Panel, priors: Priors) -> None:
    posterior = fit(panel, priors)
    for number in range(1, 6):
        curve = demand_curve(panel, posterior, number, centred_price=priors.centred_price)
        expected = np.interp(curve.observed_price, curve.price, curve.units)
        assert 0.9 < curve.observed_units.sum() / expected.sum() < 1.1
        assert (curve.low <= curve.units).all()
        assert (curve.units <= curve.high).all()
        assert (np.diff(curve.units) < 0).all()


def test_a_product_of_one_price_has_a_curve_and_no_estimate_of_its_own(panel: Panel) -> None:
    posterior = fit(panel)
    curve = demand_curve(panel, posterior, 0, centred_price=True)
    assert curve.price[0] < curve.observed_price[0] < curve.price[-1]
    own, sd = own_data_estimates(posterior)
    assert np.isnan(own[0])
    assert np.isnan(sd[0])
    assert np.isfinite(own[1:]).all()


def test_own_data_estimates_are_those_of_a_flat_prior(panel: Panel) -> None:
    own, sd = own_data_estimates(fit(panel))
    flat = fit(panel, replace(DEFAULT, product_spread=Fixed(30.0)))
    assert np.abs(own - flat.product_mean[0])[1:] == pytest.approx(np.zeros(5), abs=0.15)
    assert sd[1:] == pytest.approx(np.sqrt(flat.product_var[0, 1:]), rel=0.1)


def test_counts_of_a_fraction_come_back_in_units(panel: Panel) -> None:
    posterior = fit(panel)
    whole = demand_curve(panel, posterior, 2, centred_price=True)
    tenths = demand_curve(replace(panel, unit=0.1), posterior, 2, centred_price=True)
    assert tenths.units == pytest.approx(0.1 * whole.units)
    assert tenths.observed_units == pytest.approx(0.1 * whole.observed_units)


def test_discounted_periods_are_marked(panel: Panel) -> None:
    posterior = replace(fit(panel), discounted=np.array([[2, 5], [3, 7]]), discounted_share=np.zeros(2))
    curve = demand_curve(panel, posterior, 2, centred_price=True)
    assert np.flatnonzero(curve.discounted).tolist() == [5]


def test_a_fit_is_known_by_its_products_periods_and_controls(panel: Panel) -> None:
    posterior = fit(panel)
    assert is_fitted_to(posterior, panel)
    assert not is_fitted_to(posterior, replace(panel, period=panel.period + 7))
    assert not is_fitted_to(posterior, replace(panel, control=("other",)))


@pytest.mark.parametrize(
    ("sds", "chosen"),
    [([], {}), ([1], {"the only product": 0}), ([2, 1, 3], {"most certain": 1, "least certain": 2})],
)
def test_the_most_and_least_certain_are_chosen(sds: list[float], chosen: dict[str, int]) -> None:
    var = np.array(sds, float)[None] ** 2
    assert most_and_least_certain(summarize(np.ones(1), np.zeros_like(var), var)) == chosen
