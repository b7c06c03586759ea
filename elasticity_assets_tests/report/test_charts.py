"""Charts say the right numbers with little, odd, no or very many data, and Vega-Lite takes them."""

import altair as alt
import numpy as np
import pytest
import vl_convert

from elasticity_assets.inference.demand_curve import DemandCurve
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.posterior import Summary, summarize
from elasticity_assets.report import charts, vega_lite
from elasticity_assets.report.charts import Chart

pytestmark = pytest.mark.quick

NAMES = ["$", "_hidden", "🧀 [x](y)\n", "</script>" * 100]


def summary_of(n: int) -> Summary:
    return summarize(np.ones(1), np.linspace(-3, 0, n)[None], np.full((1, n), 0.1))


def names_of(n: int) -> list[str]:
    return [f"{i} {NAMES[i % len(NAMES)]}" for i in range(n)]


def weeks(n: int) -> list[str]:
    return (np.datetime64("2020-01-06") + 7 * np.arange(n)).astype(str).tolist()


def split_samples(n: int) -> SplitSamples:
    return SplitSamples(
        "c", np.array(names_of(n)), np.zeros(n), np.ones(n), np.linspace(-9, 9, n), np.ones(n), 0.1, 0.2
    )


def curve(units: np.ndarray, discounted: np.ndarray) -> DemandCurve:
    price = np.linspace(1, 2, 5)
    return DemandCurve(
        "🧀 $", price, 9 / price, 8 / price, 10 / price, np.ones(len(units)), units, discounted
    )


def demand(units: np.ndarray) -> Chart:
    discounted = np.arange(len(units)) == 0
    return charts.demand(curve(units, discounted), "most certain", "a 🧀 $" * 20, summary_of(2), 1)


def svg_of(chart: Chart) -> str:
    """Draw a chart as a browser would, once it has passed Vega-Lite's schema."""
    datasets = {
        name: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for name, columns in chart.data.items()
    }
    size = {"width": 600, "height": chart.height}
    whole = {**vega_lite.specification(chart.kind), **size, "datasets": datasets}
    alt.LayerChart.from_dict(whole, validate=True)
    return vl_convert.vegalite_to_svg(whole)


def any_charts(n: int) -> list[Chart]:
    """One of each kind that the report has."""
    return [
        charts.elasticities(names_of(n), summary_of(n)),
        charts.shrinkage(names_of(n), np.linspace(-4, 1, n), summary_of(n), summary_of(1)),
        demand(np.linspace(1, 9, n)),
        charts.drift(names_of(n), split_samples(n)),
        charts.pit(np.linspace(0, 1, n)),
        charts.coverage(np.linspace(0.5, 1, n), np.full(n, 20)),
        charts.elbo_trace(np.linspace(-1000, -1, n)),
    ]


def charts_of_prices(n: int) -> list[Chart]:
    """One of each kind that the page for pricing teams has, too."""
    return [
        charts.prices(weeks(n), np.linspace(1, 2, n)),
        charts.units(weeks(n), np.linspace(0, 9, n)),
        charts.refits(weeks(n), np.linspace(-2, -1, n), np.full(n, np.nan), np.zeros(n)),
        charts.gains(names_of(n), *np.linspace((-1, -2, 0), (3, 2, 4), n).T, "revenue a week"),
        charts.price_moves(*np.linspace((-0.2, -1, -2, 0), (0.2, 3, 2, 4), n).T, 0.05, "revenue a week"),
    ]


def test_every_kind_is_drawn_of_little_and_of_much() -> None:
    assert {chart.kind for chart in any_charts(3) + charts_of_prices(3)} == set(vega_lite.LAYERS)
    for n in (1, 3, 500):
        for chart in any_charts(n) + charts_of_prices(n):
            assert svg_of(chart).startswith("<svg")
            for columns in chart.data.values():
                assert len({len(column) for column in columns.values()}) == 1


def test_nothing_at_all_is_drawn_as_empty_axes() -> None:
    for chart in (
        charts.pit(np.zeros(0)),
        charts.coverage(np.full(3, np.nan), np.zeros(3, int)),
        charts.elbo_trace(np.array([np.nan])),
        charts.elasticities([], summary_of(0)),
        charts.shrinkage([], np.zeros(0), summary_of(0), summary_of(1)),
    ):
        assert svg_of(chart).startswith("<svg")


def test_elasticities_are_listed_from_the_most_elastic_on() -> None:
    means = np.array([-0.5, -2.123456, -1.0])
    summary = summarize(np.ones(1), means[None], np.full((1, 3), 0.01))
    chart = charts.elasticities(["a", "b", "c"], summary)
    rows = chart.data["rows"]
    assert rows["name"] == ["b", "c", "a"]
    assert rows["mean"] == [-2.123, -1.0, -0.5]
    np.testing.assert_allclose(rows["low"], np.sort(means) - 0.1645, atol=1e-3)
    np.testing.assert_allclose(rows["high"], np.sort(means) + 0.1645, atol=1e-3)
    assert chart.description == "Elasticities with 90% intervals, 3 rows, from −2.12 (b) to −0.50 (a)."
    drawn = svg_of(chart)
    assert drawn.index(">b<") < drawn.index(">c<") < drawn.index(">a<")


def test_of_many_rows_evenly_spaced_ones_are_shown() -> None:
    for chart in any_charts(500)[:2]:
        names = chart.data["rows"]["name"]
        assert len(names) == charts.MOST_ROWS
        assert names[0] == "0 $"
        assert names[-1].startswith("499 </script>")
    assert charts.with_part("Drift", 500) == "Drift: 40 of 500, evenly spaced by rank"
    assert charts.with_part("Drift", 40) == "Drift"
    assert len(any_charts(5000)[5].data["products"]["rank"]) <= charts.MOST_POINTS


def test_names_are_one_line_and_not_endless() -> None:
    rows = charts.elasticities(names_of(4), summary_of(4)).data["rows"]
    assert all("\n" not in name and len(name) <= charts.LONGEST_NAME for name in rows["name"])
    assert rows["name"][3].endswith("…")
    drawn = svg_of(charts.elasticities(names_of(4), summary_of(4)))
    assert "2 🧀 [x](y)" in drawn
    assert "<script" not in drawn


@pytest.mark.parametrize("n", [1, 2, 500])
@pytest.mark.parametrize(
    ("own", "side"), [(np.nan, "within"), (-2.0, None), (-1e9, "below"), (np.inf, "above")]
)
def test_outlying_own_estimates_are_marked_at_the_edge(n: int, own: float, side: str | None) -> None:
    rows = charts.shrinkage(names_of(n), np.full(n, own), summary_of(n), summary_of(1)).data["rows"]
    shown = [value for value in rows["own"] if value is not None]
    assert len(shown) == (0 if np.isnan(own) else len(rows["name"]))
    assert all(-12 < value < 12 for value in shown)
    assert side is None or set(rows["side"]) == {side}


def test_shrinkage_shows_the_category_and_marks_who_has_no_estimate() -> None:
    chart = charts.shrinkage(["a", "b"], np.array([np.nan, 0.5]), summary_of(2), summary_of(1))
    assert chart.data["rows"]["own"] == [None, 0.5]
    assert chart.data["category"]["mean"] == [-3.0]
    assert svg_of(chart).count('aria-roledescription="point"') == 3  # two published, one own


@pytest.mark.parametrize("n", [1, 3, 500])
def test_drift_shows_the_category_above_its_products(n: int) -> None:
    chart = charts.drift(names_of(n), split_samples(n))
    rows = chart.data["rows"]
    assert rows["name"][0] == "the category"
    assert rows["sort"][0] == "category"
    assert len(rows["name"]) == min(n, charts.MOST_ROWS) + 1
    assert rows["drift"][0] == 0.1
    assert all(
        (sort == "drifts") == (abs(value) > 2.576)
        for sort, value in zip(rows["sort"][1:], rows["drift"][1:], strict=True)
    )
    assert f"{split_samples(n).drifting().sum()} of {n} products drift" in chart.description


@pytest.mark.parametrize(
    "units", [np.zeros(0), np.zeros(1), np.full(9, 4.0), np.array([*np.ones(99), 1e6])], ids=str
)
def test_an_outlying_period_does_not_press_the_curve_flat(units: np.ndarray) -> None:
    chart = demand(units)
    periods = chart.data["periods"]
    assert all(value <= 10 for value in periods["units"])
    assert periods["side"].count("above") == np.sum(units > 10)
    assert periods["weight"].count("counts less") == min(len(units), 1)
    assert chart.data["curve"]["units"] == [9.0, 7.2, 6.0, 5.143, 4.5]
    assert chart.title.startswith("most certain: a 🧀 $a 🧀 $")
    assert chart.title.endswith("…, elasticity 0.00 (−0.52 to 0.52)")


def test_the_pit_histogram_counts_and_knows_the_band_of_chance() -> None:
    chart = charts.pit(np.concatenate([np.full(500, 0.01), np.linspace(0, 1, 500)]))
    counts = chart.data["bars"]["count"]
    assert sum(counts) == 1000
    assert counts[0] > 500
    (expected,), (low,), (high,) = (chart.data["chance"][name] for name in ("expected", "low", "high"))
    assert expected == 50
    np.testing.assert_allclose([low, high], 50 + 1.96 * np.sqrt(47.5) * np.array([-1, 1]), rtol=1e-3)
    assert "20 of 20 bars are outside" in chart.description


def test_coverage_is_sorted_beside_its_band() -> None:
    chart = charts.coverage(np.array([1.0, np.nan, 0.25, 0.9]), np.array([10, 0, 4, 100]))
    products = chart.data["products"]
    assert products["rank"] == [1, 2, 3]
    assert products["coverage"] == [0.25, 0.9, 1.0]
    np.testing.assert_allclose(products["low"], 0.9 - 1.96 * 0.3 / np.sqrt(np.array([4, 100, 10])), rtol=1e-3)
    assert max(products["high"]) == 1.0
    assert chart.description.endswith("of 3 products: 1 lie below the band of chance.")


def test_the_trace_leaves_out_what_is_no_number() -> None:
    iterations = charts.elbo_trace(np.array([np.nan, -5.0, -4.0])).data["iterations"]
    assert iterations == {"iteration": [1, 2], "below": [1.0, 0.0]}
