"""Filters, order and pages of recommended prices, and what they bring together."""

from collections.abc import Iterator

import duckdb
import pytest

from elasticity_assets.app import recommendations
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.app.recommendations import ACTIONS, Filters, Total
from elasticity_assets_tests.support.prices_to_change import (
    ATTRIBUTE,
    FORMULA,
    HOSTILE,
    IMAGE,
    SOUP,
    publish_prices,
)

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    file = PublishedFile(publish_prices(tmp_path_factory.mktemp("prices")))
    with file.reading() as connection:
        yield connection


def products(connection, filters=Filters(), actions=ACTIONS, order="largest gain", **page):  # noqa: B008
    return recommendations.page(connection, filters, actions, order, **page)["product"].tolist()


def test_those_that_gain_most_come_first(connection):
    rows = recommendations.page(connection, Filters(), ACTIONS, "largest gain")
    assert len(rows) == 7
    assert rows["gain"].is_monotonic_decreasing
    assert set(rows["gain_of"]) == {"profit"}
    assert products(connection, order="product") == sorted(rows["product"])


def test_pages_together_are_all_rows_once(connection):
    pages = [products(connection, number=number, most=3) for number in range(3)]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [product for page in pages for product in page] == products(connection)


def test_filters(connection):
    assert set(products(connection, Filters(categories=[SOUP]))) == {"tomato", "onion", "leek"}
    assert products(connection, Filters(text="OF TOMATO")) == ["tomato"]
    assert products(connection, Filters(text=FORMULA)) == [FORMULA]
    assert products(connection, Filters(text="%")) == []
    assert products(connection, Filters([HOSTILE], text="tomato")) == []
    assert products(connection, Filters(attributes={ATTRIBUTE: ["national"]})) == ["leek"]
    assert len(products(connection, Filters(attributes={ATTRIBUTE: []}))) == 7
    assert products(connection, actions=["lower"]) == [FORMULA]
    assert products(connection, actions=[]) == []


def test_totals_are_the_sums_of_rows(connection):
    counts, total = recommendations.totals(connection, Filters())
    assert counts == {"raise": 5, "lower": 1, "keep": 1}
    rows = recommendations.page(connection, Filters(), ACTIONS, "largest gain")
    assert (total.products, total.gain_of) == (6, "profit")
    assert total.expected == pytest.approx(rows["profit_change"].sum())
    # Wider than if all errors were the products' own, narrower than if they were all one.
    width = rows["profit_change_q95"] - rows["profit_change_q05"]
    assert (width**2).sum() ** 0.5 < total.high - total.low < width.sum()
    of_nothing = ({"raise": 0, "lower": 0, "keep": 0}, Total())
    assert recommendations.totals(connection, Filters(text="nowhere")) == of_nothing
    one = rows[rows["product"] == "tomato"].iloc[0]
    _, alone = recommendations.totals(connection, Filters(text="tomato"))
    assert alone.high - alone.low == pytest.approx(one["gain_q95"] - one["gain_q05"])


@pytest.mark.parametrize("objective", ["revenue", "margin_floor", "units"])
def test_gains_are_in_what_the_settings_ask_for(connection, objective):
    of = "units" if objective == "units" else "revenue"
    rows = recommendations.page(connection, Filters(objective=objective), ACTIONS, "largest gain")
    assert set(rows["gain_of"]) == {of}
    assert rows["gain"].tolist() == rows[f"{of}_change"].tolist()
    assert rows["gain_q05"].tolist() == rows[f"{of}_change_q05"].tolist()
    _, total = recommendations.totals(connection, Filters(objective=objective))
    assert (total.gain_of, total.expected) == (of, pytest.approx(rows[f"{of}_change"].sum()))


def test_keys_name_what_pages_show(connection):
    keys = recommendations.keys(connection, Filters(), ["keep"], 10)
    assert keys == [(HOSTILE, IMAGE, 2.25)]


def test_values_to_filter_by(connection):
    assert recommendations.categories(connection) == sorted([SOUP, HOSTILE])
    # The most frequent value first.
    assert recommendations.attributes(connection) == {ATTRIBUTE: [HOSTILE, SOUP, "national"]}
