"""What a confounder would do to elasticities: on posteriors made up, whose own data's errors are known."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.summaries import bias_per_confounding, robustness
from elasticity_assets_tests.published.test_rows import posterior

pytestmark = pytest.mark.quick

TAU = 0.5


def of_errors(*sd: float) -> CategoryPosterior:
    """A posterior of products whose own data's estimates have these standard errors, the category known."""
    var = 1.0 / (np.array(sd) ** -2 + TAU**-2)
    return replace(
        posterior(len(sd)),
        tau=np.array([TAU]),
        weight=np.ones(1),
        category_mean=np.array([-2.0]),
        category_var=np.array([1e-12]),
        product_mean=np.full((1, len(sd)), -2.0),
        product_var=var[None],
        product_gain=(var / TAU**2)[None],
    )


def test_a_product_on_its_own_moves_by_its_ratio_of_sds() -> None:
    bias, category = bias_per_confounding(of_errors(0.01, 0.01), np.array([100.0, 400.0]))
    np.testing.assert_allclose(bias, [0.1, 0.2], rtol=0.01)
    assert category == pytest.approx(0.15, rel=0.01)


def test_a_product_that_leans_on_its_category_moves_with_it() -> None:
    bias, category = bias_per_confounding(of_errors(0.01, 1.0), np.array([100.0, 100.0]))
    share = 1.0 / (1.0 + 1.0 / TAU**2)  # of its own data
    assert bias[1] == pytest.approx(share * 10.0 + (1 - share) * category, rel=0.01)
    assert bias[0] == pytest.approx(0.1, rel=0.02)


def test_widened_intervals_are_no_wider_demand() -> None:
    widened = replace(of_errors(0.02, 0.02), serial_correlation_factor=4.0)
    bias, _ = bias_per_confounding(widened, np.array([100.0, 100.0]))
    np.testing.assert_allclose(bias, 0.1, rtol=0.01)


def test_where_no_sales_say_anything_nothing_is_known() -> None:
    bias, category = bias_per_confounding(of_errors(1e6, 1e6), np.array([10.0, 10.0]))
    assert np.isnan(bias).all()
    assert np.isnan(category)


def test_robustness_is_the_share_that_moves_the_interval_to_a_conclusion() -> None:
    q05, q95, bias = np.array([-2.0, -0.8, -1.3, 0.2]), np.array([-1.4, -0.3, -0.4, 0.9]), np.full(4, 0.5)
    share = robustness(q05, q95, bias)
    moved = bias * share / np.sqrt(1.0 - share)
    np.testing.assert_allclose(moved, [0.4, 0.2, 0.4, 0.2])
    assert ((share > 0) & (share < 1)).all()


def test_an_interval_that_holds_both_has_none() -> None:
    assert robustness(np.array([-1.5]), np.array([0.5]), np.array([0.5]))[0] == 0.0
