"""Summaries of held-out scores, on scores made by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from elasticity_assets.inference.judging.scores import FORECAST, MODEL, RIVALS, HeldOut

pytestmark = pytest.mark.quick


def heldout(pit: np.ndarray, row: np.ndarray, units: np.ndarray | None = None, n: int = 3) -> HeldOut:
    m = len(pit)
    units = np.full(m, 10.0) if units is None else units
    return HeldOut(
        "c",
        np.array([f"p{i}" for i in range(n)]),
        (MODEL, *RIVALS),
        np.arange(m) % 10,
        row,
        np.arange(m),
        units,
        pit,
        np.stack([np.full(m, -2.0), np.full(m, -2.5), np.full(m, -1.9), -2.0 - 0.1 * np.arange(m)]),
        np.stack([units + 1.0, units - 3.0, units, units]),
    )


def test_coverage_counts_what_lies_inside() -> None:
    scores = heldout(np.array([0.01, 0.04, 0.06, 0.3, 0.5, 0.74, 0.76, 0.94, 0.96, 0.99]), np.zeros(10, int))
    assert scores.coverage(0.9) == pytest.approx(0.6)
    assert scores.coverage(0.5) == pytest.approx(0.3)


def test_scores_of_models() -> None:
    scores = heldout(np.full(10, 0.5), np.zeros(10, int))
    assert scores.log_score() == pytest.approx(-2.0)
    assert scores.wape() == pytest.approx(0.1)
    assert scores.wape(1) == pytest.approx(0.3)
    assert scores.lead(1) == (pytest.approx(0.5), pytest.approx(0.0))
    lead, error = scores.lead(3)
    assert lead == pytest.approx(0.45)
    assert error == pytest.approx(0.1 * np.arange(10).std() / np.sqrt(10))


def test_a_forecasts_error_knows_that_cells_of_a_period_go_together() -> None:
    """Drawn again and again, coverage varies as its standard error says."""
    rng = np.random.default_rng(0)
    row, column = np.divmod(np.arange(50 * 8), 8)
    found, errors = [], []
    for _ in range(300):
        shock = rng.normal(size=8)[column] + rng.normal(size=50)[row] + 2.0 * rng.normal(size=400)
        pit = norm.cdf(shock / np.sqrt(6.0))
        scores = replace(heldout(pit, row, n=50), column=column)
        found.append(scores.coverage())
        errors.append(scores._clustered_error(scores.inside()))
    assert np.mean(found) == pytest.approx(0.9, abs=0.005)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(found), rel=0.2)


def test_thirds_go_by_volume() -> None:
    row = np.repeat(np.arange(3), 10)
    units = np.repeat([100.0, 1.0, 10.0], 10)
    pit = np.where(np.arange(30) % 10 < np.repeat([9, 5, 7], 10), 0.5, 0.999)
    np.testing.assert_allclose(heldout(pit, row, units).coverage_by_third(), [0.5, 0.7, 0.9])


def test_coverage_spread_is_one_by_chance_and_more_where_products_differ() -> None:
    rng = np.random.default_rng(0)
    row = np.repeat(np.arange(200), 50)
    alike = heldout(rng.random(len(row)), row, n=200)
    assert 0.85 < alike.coverage_spread() < 1.15
    # A third of the products has intervals that are too narrow.
    pit = np.where(row % 3 == 0, np.clip(0.5 + 1.4 * (alike.pit - 0.5), 0.0, 1.0), alike.pit)
    assert heldout(pit, row, n=200).coverage_spread() > 2.0


def test_folds_and_forecast_are_apart() -> None:
    scores = heldout(np.linspace(0.0, 1.0, 10), np.arange(10) % 3)
    fold = scores.fold.copy()
    fold[7:] = FORECAST
    scores = replace(scores, fold=fold)
    assert len(scores.folds().units) == 7
    np.testing.assert_array_equal(scores.forecast().column, [7, 8, 9])
    assert scores.forecast().log_probability.shape == (4, 3)


def test_nothing_held_out_is_no_number() -> None:
    empty = heldout(np.zeros(0), np.zeros(0, int))
    for value in (
        empty.coverage(),
        empty.log_score(),
        empty.wape(),
        empty.coverage_spread(),
        *empty.coverage_by_third(),
    ):
        assert np.isnan(value)
    assert np.isnan(heldout(np.full(2, 0.5), np.zeros(2, int), np.zeros(2)).wape())


def test_cells_of_a_products_period_count_as_one_where_they_go_together() -> None:
    once = heldout(np.linspace(0.02, 0.98, 12), np.arange(12) % 3)
    again = np.repeat(np.arange(12), 4)
    zones = once._only(again)
    np.testing.assert_allclose(zones.lead(3), once.lead(3))
    assert zones._clustered_error(zones.pit) == pytest.approx(once._clustered_error(once.pit))
    apart = replace(zones, column=np.arange(48))
    assert apart.lead(3)[1] == pytest.approx(0.5 * once.lead(3)[1])
    # Coverage of a product may then differ as much as with a fourth of the cells.
    assert apart.coverage_spread() == pytest.approx(2.0 * zones.coverage_spread())
