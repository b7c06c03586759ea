"""Results of price tests elsewhere: Gaussian factors of elasticities, exactly, in every engine that takes them."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from numpyro.infer.util import log_density
from scipy import stats

from elasticity_assets.inference import engines, natural_gradient, nuts
from elasticity_assets.inference.density.model import Model, stack_panels
from elasticity_assets.inference.experiments import Experiment, with_experiments, without_experiments
from elasticity_assets.inference.judging.cross_check import compare
from elasticity_assets.inference.judging.working_model import WorkingModel
from elasticity_assets.inference.options import FitOptions, NaturalGradientOptions, NutsOptions, SviOptions
from elasticity_assets.inference.panel import Panel, take_products
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets_tests.inference.density.test_model import draw
from elasticity_assets_tests.published.test_rows import posterior

RESULTS = [Experiment("p2", -3.0, 0.5), Experiment("p2", -1.0, 1.0), Experiment("", -1.5, 0.4)]


@pytest.fixture(scope="module")
def panel() -> Panel:
    (panel,), _ = simulated_panels(Simulation(products=8, weeks=30, categories=1, level_mean=1.5), seed=2)
    return panel


@pytest.mark.quick
def test_several_results_are_their_weighted_mean(panel: Panel) -> None:
    found = with_experiments(panel, RESULTS)
    np.testing.assert_allclose(found.experiment[1], [(4.0 * -3.0 + 1.0 * -1.0) / 5.0, 5.0])
    np.testing.assert_allclose(found.category_experiment, [-1.5, 1.0 / 0.16])
    assert np.count_nonzero(found.experiment[:, 1]) == 1
    assert take_products(found, np.array([4, 1])).experiment[1, 1] == 5.0
    assert not without_experiments(found).experiments().any()


@pytest.mark.quick
def test_a_panel_without_results_is_as_it_was(panel: Panel) -> None:
    assert with_experiments(panel, []) is panel
    assert with_experiments(panel, [Experiment("of another part", -1.0, 0.1)]) is panel


@pytest.mark.quick
def test_nuts_density_is_multiplied_by_their_gaussians(panel: Panel) -> None:
    found = with_experiments(panel, RESULTS)
    sales = stack_panels([found], centred_price=True)
    model = Model(DEFAULT, "negative_binomial", experiments=True)
    values = draw(model, sales)

    def density(of: Model) -> float:
        return float(log_density(of, (sales,), {}, values)[0])

    def gaussian(value: float, mean: float, sd: float) -> float:
        return stats.norm.logpdf(value, mean, sd) - stats.norm.logpdf(mean, mean, sd)

    with jax.enable_x64(True):
        gained = density(model) - density(replace(model, experiments=False))
    beta, mean, sd = values["beta"][1], found.experiment[1, 0], found.experiment[1, 1] ** -0.5
    expected = gaussian(beta, mean, sd) + gaussian(values["beta_c"][0], -1.5, 0.4)
    assert gained == pytest.approx(expected, abs=1e-3)


@pytest.mark.quick
def test_svi_refuses_them(panel: Panel) -> None:
    with pytest.raises(ValueError, match="svi takes no results from elsewhere"):
        engines.fit(
            with_experiments(panel, RESULTS),
            DEFAULT,
            FitOptions("svi", robust=False, serial_correlation=False, svi=SviOptions()),
        )


@pytest.mark.quick
def test_the_working_model_has_them_too(panel: Panel) -> None:
    fit = replace(
        posterior(8, ()),
        product=panel.product,
        period=panel.period,
        period_effect=np.zeros(panel.n_periods),
        product_mean=np.full((1, 8), -2.0),
        level=np.full(8, 1.5),
        dispersion=np.full(8, 9.0),
        slow_demand=np.zeros((0, 0), np.float32),
        slow_demand_sd=np.zeros(0),
        season=np.zeros((0, 2)),
        discounted=np.zeros((0, 2), np.int64),
        discounted_share=np.zeros(0),
    )
    sure = [Experiment("p2", -3.0, 1e-3), Experiment("", -1.5, 1e-3)]
    solved = WorkingModel.of(with_experiments(panel, sure), fit, DEFAULT, []).solve()
    assert solved.product_mean[1] == pytest.approx(-3.0, abs=1e-3)
    assert solved.category_mean == pytest.approx(-1.5, abs=1e-3)
    assert solved.product_sd[1] == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.slow
def test_the_posterior_is_nuts_s(panel: Panel) -> None:
    found = with_experiments(panel, RESULTS)
    ours = natural_gradient.fit(found, DEFAULT, "negative_binomial", NaturalGradientOptions(tolerance=1e-3))
    plain = natural_gradient.fit(panel, DEFAULT, "negative_binomial", NaturalGradientOptions(tolerance=1e-3))
    moved = np.abs(ours.weight @ ours.product_mean - plain.weight @ plain.product_mean)
    assert moved.max() > 0.1  # so that there is something to agree on
    draws = nuts.sample(
        found, DEFAULT, "negative_binomial", NutsOptions(warmup=500, samples=1000, chains=2), start=ours
    )
    check = compare(ours, draws)
    assert check.mean_difference_rms < 0.1
    assert abs(check.sd_ratio_median - 1.0) < 0.05
