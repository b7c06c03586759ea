"""Drawings hold with little, odd or no data; warnings are errors."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from elasticity_assets.inference.demand_curve import DemandCurve
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.posterior import Summary, summarize
from elasticity_assets.report import drawing

pytestmark = pytest.mark.quick

NAMES = ["$", "_hidden", "🧀 [x](y)\n", "a" * 100]


def summary_of(n: int) -> Summary:
    return summarize(np.ones(1), np.linspace(-3, 0, n)[None], np.full((1, n), 0.1))


def names_of(n: int) -> list[str]:
    return [NAMES[i % len(NAMES)] for i in range(n)]


def bytes_of(figure: Figure) -> int:
    file = io.BytesIO()
    drawing.save(figure, file, format="svg")
    return len(file.getvalue())


@pytest.mark.parametrize("n", [1, 2, 500])
@pytest.mark.parametrize("own", [np.nan, -2.0, -1e9, np.inf])
def test_absurd_own_estimates_leave_the_axis_readable(n: int, own: float) -> None:
    figure, axes = drawing.one_axes(6, drawing.rows_height(n))
    drawing.draw_shrinkage(axes, names_of(n), np.full(n, own), summary_of(n), summary_of(1))
    low, high = axes.get_xlim()
    assert -12 < low < high < 12
    assert len(axes.get_yticks()) == min(n, drawing.MOST_BARS)
    assert bytes_of(figure) > 0


@pytest.mark.parametrize("n", [1, 3, 500])
def test_drift_shows_the_category_above_its_products(n: int) -> None:
    samples = SplitSamples(
        "c", np.array(names_of(n)), np.zeros(n), np.ones(n), np.linspace(-9, 9, n), np.ones(n), 0.1, 0.2
    )
    figure, axes = drawing.one_axes(6, 3)
    drawing.draw_drift(axes, names_of(n), samples)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[-1] == "the category"
    assert len(labels) == min(n, drawing.MOST_BARS) + 1
    assert bytes_of(figure) > 0


def curve(units: np.ndarray, discounted: np.ndarray) -> DemandCurve:
    price = np.linspace(1, 2, 5)
    return DemandCurve(
        "🧀 $", price, 9 / price, 8 / price, 10 / price, np.ones(len(units)), units, discounted
    )


@pytest.mark.parametrize(
    "units", [np.zeros(0), np.zeros(1), np.full(9, 4.0), np.array([*np.ones(99), 1e6])], ids=str
)
def test_an_absurd_period_does_not_press_the_curve_flat(units: np.ndarray) -> None:
    summary = summary_of(2)
    discounted = np.arange(len(units)) == 0
    title = drawing.curve_title("most certain", "a 🧀 $" * 20, summary, 1)
    figure = drawing.demand_figure([curve(units, discounted)], [title], 4, 3)
    assert 8 < figure.axes[0].get_ylim()[1] < 100
    assert bytes_of(figure) > 0


def test_without_held_out_cells_the_axes_stay_empty() -> None:
    for draw in (
        lambda axes: drawing.draw_pit(axes, np.zeros(0)),
        lambda axes: drawing.draw_coverage(axes, np.full(3, np.nan), np.zeros(3, int)),
        lambda axes: drawing.draw_coverage(axes, np.array([0.5]), np.array([8])),
        lambda axes: drawing.draw_elbo_trace(axes, np.array([np.nan])),
        lambda axes: drawing.draw_elasticities(axes, [], summary_of(0)),
    ):
        figure, axes = drawing.one_axes(3, 2)
        draw(axes)
        assert bytes_of(figure) > 0
