"""Tests of prices that follow demand, on twin markets: they tell the one from the other, and costs put it right."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri_exp
from scipy.stats import chi2

from elasticity_assets.inference.category_price_index import with_category_price_index
from elasticity_assets.inference.instrument import with_price_residual
from elasticity_assets.inference.judging.confounding import ConfoundingTests, look_for_confounding
from elasticity_assets.inference.judging.working_model import WorkingModel
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.price_lags import with_price_lags
from elasticity_assets.inference.priors import DEFAULT, SlowDemand
from elasticity_assets.inference.randomized_prices import with_price_not_random
from elasticity_assets.inference.simulate import FIRST_PERIOD
from elasticity_assets.inference.twins import Confounding, Twin, twins
from elasticity_assets_tests.published.test_rows import posterior

pytestmark = pytest.mark.quick

PRIORS = replace(DEFAULT, slow_demand=SlowDemand())
N, T, LAGS = 40, 104, 2


def laid_out(twin: Twin) -> Panel:
    product, week = np.divmod(np.arange(N * T), T)
    sales = CategorySales(
        "c",
        np.char.zfill(product.astype(str), 3),
        FIRST_PERIOD + 7 * week,
        twin.market.units().ravel(),
        np.exp(twin.market.log_price).ravel(),
        cost=np.exp(twin.log_cost).ravel(),
        randomized=twin.randomized[week],
    )
    return with_price_lags(with_category_price_index(panel_from_sales(sales)), LAGS)


def at_truth(twin: Twin, panel: Panel) -> CategoryPosterior:
    """A posterior made up of what was drawn: the working model steps from there to what sales say."""
    K, demand = len(panel.control), twin.market.demand - twin.shock
    level = demand.mean(axis=1)
    return replace(
        posterior(N, panel.control),
        product=panel.product,
        period=panel.period,
        tau=np.array([0.5]),
        weight=np.ones(1),
        category_mean=np.array([twin.market.elasticity.mean()]),
        category_var=np.array([0.01]),
        product_mean=twin.market.elasticity[None],
        product_var=np.full((1, N), 0.04),
        product_gain=np.full((1, N), 0.1),
        control_mean=np.zeros((1, K)),
        control_cov=0.01 * np.eye(K)[None],
        level=level,
        period_effect=(demand - level[:, None])[0],
        dispersion=np.full(N, np.exp(2.0)),
        level_mean=2.5,
        level_spread=1.0,
        period_spread=0.2,
        slow_demand=twin.shock,
        slow_demand_sd=np.full(N, 0.3),
        slow_demand_persistence=0.8,
        season=np.zeros((0, 2)),
        discounted=np.zeros((0, 2), np.int64),
        discounted_share=np.zeros(0),
        serial_correlation_factor=1.0,
    )


@pytest.fixture(scope="module")
def markets() -> tuple[Twin, Twin]:
    return twins(3, N, T, Confounding(randomized=0.0))


@pytest.fixture(scope="module")
def panels(markets: tuple[Twin, Twin]) -> tuple[Panel, Panel]:
    return laid_out(markets[0]), laid_out(markets[1])


@pytest.fixture(scope="module")
def fits(
    markets: tuple[Twin, Twin], panels: tuple[Panel, Panel]
) -> tuple[CategoryPosterior, CategoryPosterior]:
    return at_truth(markets[0], panels[0]), at_truth(markets[1], panels[1])


@pytest.fixture(scope="module")
def found(
    panels: tuple[Panel, Panel], fits: tuple[CategoryPosterior, CategoryPosterior]
) -> tuple[ConfoundingTests, ConfoundingTests]:
    return look_for_confounding(panels[0], fits[0], PRIORS), look_for_confounding(panels[1], fits[1], PRIORS)


def test_twins_are_told_apart(found: tuple[ConfoundingTests, ConfoundingTests]) -> None:
    following, twin = found
    assert following.prices_follow_demand
    assert following.hausman_z > 3.0
    assert following.lead_effect > 0.0
    assert not twin.prices_follow_demand
    assert abs(twin.lead_z) < 3.0


def test_costs_take_most_of_the_bias_away(
    markets: tuple[Twin, Twin],
    panels: tuple[Panel, Panel],
    fits: tuple[CategoryPosterior, CategoryPosterior],
    found: tuple[ConfoundingTests, ConfoundingTests],
) -> None:
    truth = markets[0].market.elasticity
    plain = WorkingModel.of(panels[0], fits[0], PRIORS, []).solve()
    bias = np.mean(plain.product_mean - truth)
    assert bias > 0.4
    assert abs(found[0].instrumented_elasticity - truth.mean()) < 0.5 * bias


def test_without_costs_there_is_the_placebo_alone(
    panels: tuple[Panel, Panel], fits: tuple[CategoryPosterior, CategoryPosterior]
) -> None:
    without = replace(panels[0], log_cost=np.zeros((0, 0), np.float32))
    tests = look_for_confounding(without, fits[0], PRIORS)
    assert np.isnan([tests.instrument_strength, tests.instrumented_elasticity, tests.hausman_z]).all()
    assert np.isfinite(tests.lead_z)


def test_of_a_fit_that_has_the_instrument_the_plain_one_is_not_made_again(
    panels: tuple[Panel, Panel], fits: tuple[CategoryPosterior, CategoryPosterior]
) -> None:
    used = with_price_residual(panels[1])
    added = len(used.control) - len(panels[1].control)
    assert added == 1 + 2 * LAGS
    # Of a posterior made up of the plain one, one large effect of another control, and effects below 0.
    K = len(used.control)
    cov = np.zeros((1, K, K))
    cov[:, :-added, :-added], cov[0, range(K - added, K), range(K - added, K)] = fits[1].control_cov[:1], 0.01
    posterior = replace(
        fits[1],
        control=used.control,
        control_mean=np.concatenate(
            [fits[1].control_mean[:, :1] * 0 + 9.0, fits[1].control_mean[:, 1:], np.full((1, added), -0.3)],
            axis=1,
        ),
        control_cov=cov,
    )
    tests = look_for_confounding(used, posterior, PRIORS)
    assert tests.instrument_used
    # Of the instrument's own effects alone: their squares over their variance, and the sign of their sum.
    expected = -ndtri_exp(chi2.logsf(added * 0.3**2 / 0.01, added) + np.log(0.5))
    assert tests.hausman_z == pytest.approx(-expected, rel=1e-6)
    assert tests.instrumented_elasticity == tests.elasticity


def test_random_prices_tell_the_elasticity_and_the_bias_of_the_others() -> None:
    both = twins(4, N, T, Confounding(randomized=0.2, width=2.0))
    for twin, follows in zip(both, (True, False), strict=True):
        panel = laid_out(twin)
        tests = look_for_confounding(panel, at_truth(twin, panel), PRIORS)
        off = tests.randomized_elasticity - twin.market.elasticity.mean()
        assert abs(off) < 2.0 * tests.randomized_elasticity_sd < 0.5
        assert (tests.randomized_gap_z > 3.0) is follows
        assert tests.prices_follow_demand is follows
        assert tests.randomized_doubt == ""


def test_random_prices_take_no_credit_for_what_was_found_elsewhere() -> None:
    twin = twins(4, N, T, Confounding(randomized=0.2, width=2.0))[1]
    panel = laid_out(twin)
    alone = look_for_confounding(panel, at_truth(twin, panel), PRIORS)
    told = replace(panel, category_experiment=np.array([-5.0, 100.0]))
    tests = look_for_confounding(told, at_truth(twin, told), PRIORS)
    for name in ("randomized_elasticity", "randomized_elasticity_sd", "randomized_gap_z"):
        assert getattr(tests, name) == pytest.approx(getattr(alone, name))


def test_a_fit_that_rests_on_random_prices_is_tested_by_nothing_else() -> None:
    twin = twins(3, N, T, Confounding(randomized=0.2))[0]
    used = with_price_not_random(laid_out(twin))
    fit = at_truth(twin, used)
    effect = np.zeros((1, len(used.control)))
    effect[0, used.control.index("price_not_random")] = 0.5
    tests = look_for_confounding(used, replace(fit, control_mean=effect), PRIORS)
    assert tests.randomized_used
    assert tests.randomized_elasticity == tests.elasticity
    assert tests.randomized_gap_z == pytest.approx(5.0)
    assert np.isfinite(tests.instrument_strength)
    assert np.isnan(tests.instrumented_elasticity)
    assert not tests.prices_follow_demand


def test_prices_that_never_move_leave_nothing_to_test_by(
    panels: tuple[Panel, Panel], fits: tuple[CategoryPosterior, CategoryPosterior]
) -> None:
    still = replace(panels[1], log_price=np.where(panels[1].observed, 1.0, 0.0).astype(np.float32))
    still = replace(still, log_cost=np.zeros((0, 0), np.float32))
    tests = look_for_confounding(still, fits[1], PRIORS)
    assert np.isnan(tests.lead_z)
    assert not tests.prices_follow_demand
