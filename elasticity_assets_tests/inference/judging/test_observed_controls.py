"""What observed controls explain: by the algebra, and by which of them is found."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.judging.observed_controls import (
    as_added,
    strongest_control,
)
from elasticity_assets.inference.judging.working_model import WorkingModel
from elasticity_assets.inference.panel import Panel, with_control
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.twins import Confounding, twins
from elasticity_assets_tests.inference.judging.test_confounding import PRIORS, N, T, at_truth, laid_out

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def fitted() -> tuple[Panel, CategoryPosterior]:
    """A market whose prices follow demand, of which the files show a part; another control does nothing."""
    twin, _ = twins(3, N, T, Confounding(cost_share=0.0, randomized=0.0))
    panel = with_control(laid_out(twin), "display", twin.shock)
    panel = with_control(panel, "moon", np.random.default_rng(0).normal(size=(N, T)))
    posterior = at_truth(twin, panel)
    # What display does is no part of slow demand.
    seen = np.array([[0.3 * (name == "display") for name in panel.control]])
    return panel, replace(posterior, control_mean=seen, slow_demand=0.0 * posterior.slow_demand)


def test_a_control_taken_out_and_added_leaves_the_model_as_it_is(
    fitted: tuple[Panel, CategoryPosterior],
) -> None:
    model = WorkingModel.of(*fitted, PRIORS, [])
    display = fitted[0].control.index("display")
    whole, again = model.solve(), as_added(model, display).solve([0])
    assert again.category_mean == pytest.approx(whole.category_mean)
    assert again.category_sd == pytest.approx(whole.category_sd)
    np.testing.assert_allclose(again.product_mean, whole.product_mean)
    without = as_added(model, display).solve()
    assert without.category_mean > whole.category_mean + 0.3  # prices are high when demand is


def test_the_control_that_would_confound_most_is_found(fitted: tuple[Panel, CategoryPosterior]) -> None:
    panel, posterior = fitted
    model = WorkingModel.of(panel, posterior, PRIORS, [])
    found = strongest_control(model, posterior)
    assert found.name == "display"
    assert 0.15 < found.of_prices < 0.4  # its correlation with prices is 0.6, of which lags of them know some
    assert found.of_sales == pytest.approx(9 / (9 + N * T))  # its effect is 0.3 with an sd of 0.1
    assert found.of_prices == pytest.approx(
        as_added(model, panel.control.index("display")).strength(0)[1], abs=0.01
    )
    # The files' controls alone count, not those that the model makes of prices.
    own = replace(panel, control=tuple(name for name in panel.control if name not in ("display", "moon")))
    K = len(own.control)
    own = replace(own, controls=panel.controls[:, :, :K])
    bare = replace(
        posterior,
        control=own.control,
        control_mean=posterior.control_mean[:, :K],
        control_cov=posterior.control_cov[:, :K, :K],
    )
    assert not strongest_control(WorkingModel.of(own, bare, PRIORS, []), bare).name
