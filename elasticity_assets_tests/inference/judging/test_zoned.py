"""Judging fits of products in zones: predictions are right where the model is, whole product-weeks left out."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.judging.heldout import BLOCK_PERIODS, Effort
from elasticity_assets.inference.judging.split_samples import SplitSamples, compare
from elasticity_assets.inference.judging.zoned import evaluate
from elasticity_assets.inference.natural_gradient.zones import engine
from elasticity_assets.inference.options import NaturalGradientOptions
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import DEFAULT, DEFAULT_ZONES
from elasticity_assets.inference.simulate_zones import ZoneSimulation, simulate_zones
from elasticity_assets.inference.zoned_panel import ZonedPanel, some_products_and_zones

SIMULATION = ZoneSimulation(products=8, zones=8, weeks=56, slow_demand_sd=0.0)


@pytest.fixture(scope="module")
def panel() -> ZonedPanel:
    return simulate_zones(SIMULATION, seed=3)[0]


def test_whole_product_weeks_are_predicted_and_intervals_are_right(panel: ZonedPanel) -> None:
    scores = evaluate(panel, DEFAULT, "negative_binomial", rivals=False, effort=Effort(folds=4))
    folds = scores.folds()
    assert len(folds.row) == panel.rows.n_obs
    np.testing.assert_array_equal(scores.product, panel.product)
    week = folds.row * panel.rows.n_periods + folds.column // BLOCK_PERIODS
    assert len(np.unique(np.stack([week, folds.fold]), axis=1).T) == len(np.unique(week))
    # 112 blocks of a product's weeks, whose zones go together.
    assert abs(folds.coverage() - 0.9) < 0.03
    assert folds.coverage_spread() < 1.6
    assert scores.forecast().coverage() == pytest.approx(0.9, abs=0.08)


@pytest.mark.slow
def test_the_model_leads_rows_that_know_nothing_of_each_other(panel: ZonedPanel) -> None:
    folds = evaluate(panel, DEFAULT, "negative_binomial", effort=Effort(folds=4)).folds()
    for rival in (1, 2, 3):
        lead, error = folds.lead(rival)
        assert lead > -2.0 * error
    assert folds.lead(3)[0] > 2.0 * folds.lead(3)[1]


def test_parts_of_the_periods_agree_where_nothing_changes(panel: ZonedPanel) -> None:
    def split(panel: ZonedPanel) -> SplitSamples:
        options = NaturalGradientOptions(grid_points=1)
        problem = engine.Problem(panel, DEFAULT, DEFAULT_ZONES, "negative_binomial", options.max_passes)
        whole = problem.mode(options).state

        def fit(weight: np.ndarray) -> CategoryPosterior:
            part = problem.under(weight).at_scales(whole, options)
            # Zones count by the units of all periods: other shares would look like other elasticities.
            together = np.bincount(panel.product_of_row, panel.share_of_units() * part.row_mean[0])
            np.testing.assert_allclose(part.products.product_mean[0], together, rtol=1e-5)
            return part.products

        return compare(panel.rows, fit)

    steady = split(panel)
    assert steady.drifting().sum() <= 1  # a hundredth by chance
    assert np.abs(steady.block_difference / steady.block_sd).mean() < 1.5
    late = np.arange(panel.rows.units.shape[1]) >= panel.rows.n_periods / 2
    factor = np.exp(-2.0 * panel.rows.centred_log_price() * late)
    units = np.round(panel.rows.units * factor).astype(np.float32)
    changed = split(replace(panel, rows=replace(panel.rows, units=units)))
    assert changed.category_drift < -3.0 * changed.category_drift_sd


def test_products_lean_on_their_category_by_what_data_leave_of_their_prior(panel: ZonedPanel) -> None:
    """Their zones' variance is part of that prior: it is all there where nothing is known."""
    options = NaturalGradientOptions(grid_points=1)
    problem = engine.Problem(panel, DEFAULT, DEFAULT_ZONES, "negative_binomial", options.max_passes)
    start = problem.start()
    known, unknown = (
        problem.under(panel.rows.weight * np.float32(factor)).at_scales(start, options).products
        for factor in (1.0, 1e-6)
    )
    conditional = [
        fit.product_var - fit.product_gain**2 * fit.category_var[:, None] for fit in (known, unknown)
    ]
    assert unknown.zones_prior_var.min() > 0.05 * unknown.tau[0] ** 2
    np.testing.assert_allclose(unknown.own_prior_var(), conditional[1], rtol=1e-3)
    np.testing.assert_allclose(known.shrinkage(), conditional[0][0] / known.own_prior_var()[0], rtol=1e-6)
    np.testing.assert_allclose(unknown.shrinkage(), 1.0, atol=1e-3)
    assert known.shrinkage().max() < 0.7


@pytest.mark.quick
def test_a_large_category_is_judged_by_some_products_in_some_zones() -> None:
    panel = simulate_zones(ZoneSimulation(products=12, zones=9, weeks=20, present=0.7), seed=1)[0]
    part = some_products_and_zones(panel, 5, 4, seed=0)
    assert part.n_products == 5
    assert part.n_zones == 4
    assert set(part.rows.product) <= set(panel.rows.product)
    rows = np.searchsorted(panel.rows.product, part.rows.product)
    np.testing.assert_array_equal(part.rows.units[: part.n_rows], panel.rows.units[rows])
    np.testing.assert_array_equal(
        part.product[part.product_of_row], panel.product[panel.product_of_row[rows]]
    )
    np.testing.assert_array_equal(part.zone[part.zone_of_row], panel.zone[panel.zone_of_row[rows]])
    assert some_products_and_zones(panel, 12, 9, seed=0) is panel
