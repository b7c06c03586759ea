"""Held-out evaluation of simulated sales: right where the model is right, and it tells where it is not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from elasticity_assets.inference.judging import heldout
from elasticity_assets.inference.judging.heldout import BLOCK_PERIODS, Effort, choose_likelihood, evaluate
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.simulate import Simulation, simulated_panels

SIMULATION = Simulation(products=30, weeks=60, categories=1, level_mean=2.0, product_spread=0.8, observed=0.9)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return simulated_panels(SIMULATION, seed=2)[0][0]


@pytest.fixture(scope="module")
def scores(panel: Panel) -> HeldOut:
    return evaluate(panel, DEFAULT, "negative_binomial")


def test_every_cell_is_predicted_once_and_the_last_periods_again(panel: Panel, scores: HeldOut) -> None:
    folds, forecast = scores.folds(), scores.forecast()
    predicted = np.zeros(panel.observed.shape, int)
    np.add.at(predicted, (folds.row, folds.column), 1)
    np.testing.assert_array_equal(predicted, panel.observed.astype(int))
    late = np.nonzero(panel.observed & (np.arange(panel.units.shape[1]) >= panel.n_periods - 8))
    np.testing.assert_array_equal(np.stack([forecast.row, forecast.column]), late)
    assert set(folds.fold) == set(range(10))
    block = folds.row * panel.n_periods + folds.column // BLOCK_PERIODS
    left_out = {(b, fold) for b, fold in zip(block, folds.fold, strict=True)}
    assert len(left_out) == len(np.unique(block))  # neighbouring periods together
    assert np.ptp(np.bincount([fold for _, fold in left_out])) <= 1
    np.testing.assert_array_equal(folds.units, panel.units[folds.row, folds.column])


def test_predictions_are_right_where_the_model_is(scores: HeldOut) -> None:
    folds = scores.folds()
    assert abs(folds.coverage() - 0.9) < 0.025
    assert abs(folds.coverage(0.5) - 0.5) < 0.04
    assert kstest(folds.pit, "uniform").pvalue > 0.001
    assert folds.coverage_spread() < 1.4
    assert scores.forecast().coverage() == pytest.approx(0.9, abs=0.06)


def test_the_model_leads_its_rivals_where_elasticities_differ(scores: HeldOut) -> None:
    folds = scores.folds()
    for rival in (1, 3):  # one slope for all, no price effect
        lead, error = folds.lead(rival)
        assert lead > 2.0 * error
        assert folds.wape() < folds.wape(rival)
    lead, error = folds.lead(2)  # each product on its own
    assert lead > -2.0 * error


def test_a_few_passes_unlearn_a_fold(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    few = evaluate(panel, DEFAULT, "negative_binomial", effort=Effort(folds=5))
    monkeypatch.setattr(heldout, "_PASSES", 12)
    monkeypatch.setattr(heldout, "_FORECAST_PASSES", 12)
    many = evaluate(panel, DEFAULT, "negative_binomial", effort=Effort(folds=5))
    for own, other in ((few.folds(), many.folds()), (few.forecast(), many.forecast())):
        error = own.log_probability[0].std() / np.sqrt(len(own.fold))
        assert abs(own.log_score() - other.log_score()) < 0.1 * error
        assert abs(own.coverage() - other.coverage()) < 0.01
        np.testing.assert_allclose(own.pit, other.pit, atol=0.05)
        for rival in (1, 2, 3):
            assert abs(own.lead(rival)[0] - other.lead(rival)[0]) < 0.3 * other.lead(rival)[1]


def test_a_wrong_likelihood_is_found_out(panel: Panel) -> None:
    narrow = evaluate(panel, DEFAULT, "poisson", rivals=False).folds()
    assert narrow.coverage() < 0.85
    best, log_score = choose_likelihood(panel, DEFAULT, ("negative_binomial", "poisson"))
    assert best == "negative_binomial"
    assert log_score["negative_binomial"] > log_score["poisson"]


def test_large_categories_are_judged_by_a_sample(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heldout, "_FEWEST_PRODUCTS", 8)
    part = evaluate(panel, DEFAULT, "negative_binomial", rivals=False, effort=Effort(1, 5))
    assert len(part.product) == 8
    assert set(part.folds().fold) == set(range(5))
    assert set(part.product) <= set(panel.product)
    rows = np.searchsorted(panel.product, part.product)
    np.testing.assert_array_equal(part.units, panel.units[rows[part.row], part.column])
    assert part.model == ("this model",)


@pytest.mark.parametrize(("categories", "effort"), [(1, (3_000, 10)), (100, (3_000, 10)), (101, (1_500, 5))])
def test_each_of_many_categories_is_judged_less_closely(categories: int, effort: tuple[int, int]) -> None:
    assert Effort.for_each_of(categories) == effort


@pytest.mark.parametrize(
    ("cells", "periods", "products"), [(3_000, 53, 64), (3_000, 156, 32), (1_500, 53, 32), (3_000, 8, 512)]
)
def test_a_sample_has_the_cells_that_the_precision_takes(cells: int, periods: int, products: int) -> None:
    assert Effort(cells).products(periods) == products


def test_short_histories_have_no_forecast(panel: Panel) -> None:
    few = replace(
        panel,
        period=panel.period[:12],
        observed=panel.observed & (np.arange(panel.units.shape[1]) < 12),
        weight=panel.weight * (np.arange(panel.units.shape[1]) < 12),
    )
    scores = evaluate(few, DEFAULT, "negative_binomial", rivals=False)
    assert len(scores.forecast().units) == 0
    assert np.isnan(scores.forecast().coverage())
    assert 0.8 < scores.folds().coverage() < 1.0


@pytest.mark.slow
def test_truncated_and_fractional_sales_are_predicted_too() -> None:
    dropped = simulated_panels(replace(SIMULATION, level_mean=0.5, drop_zeros=True), seed=4)[0][0]
    scores = evaluate(dropped, DEFAULT, "negative_binomial", rivals=False).folds()
    assert abs(scores.coverage() - 0.9) < 0.035
    assert (scores.median >= 1).all()
    fractional = simulated_panels(replace(SIMULATION, products=12), seed=5)[0][0]
    fractional = replace(fractional, unit=0.001, units=fractional.units + np.float32(0.37))
    assert (
        abs(evaluate(fractional, DEFAULT, "negative_binomial", rivals=False).folds().coverage() - 0.9) < 0.05
    )
