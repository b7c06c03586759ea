"""Filters, order and pages of recommended prices, and what they bring together."""

import math
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from elasticity_assets.app import recommendations
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.app.recommendations import ACTIONS, Filters
from elasticity_assets.pricing.changes import Z90
from elasticity_assets.pricing.choice import LOCKED
from elasticity_assets.report.answer import KEPT
from elasticity_assets_tests.support.prices_to_change import (
    ATTRIBUTE,
    FORMULA,
    HOSTILE,
    IMAGE,
    SOUP,
    publish_prices,
)
from elasticity_assets_tests.support.zoned_prices import NORTH, SOUTH

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
    counts, (total,) = recommendations.totals(connection, Filters())
    assert counts == {"raise": 5, "lower": 1, "keep": 1}
    rows = recommendations.page(connection, Filters(), ACTIONS, "largest gain")
    assert (total.products, total.gain_of) == (7, "profit")
    assert total.expected == pytest.approx(rows["profit_change"].sum())
    # Wider than if all errors were the products' own, narrower than if they were all one.
    width = rows["profit_change_q95"] - rows["profit_change_q05"]
    assert (width**2).sum() ** 0.5 < total.high - total.low < width.sum()
    of_nothing = ({"raise": 0, "lower": 0, "keep": 0}, [])
    assert recommendations.totals(connection, Filters(text="nowhere")) == of_nothing
    one = rows[rows["product"] == "tomato"].iloc[0]
    _, (alone,) = recommendations.totals(connection, Filters(text="tomato"))
    assert alone.high - alone.low == pytest.approx(one["gain_q95"] - one["gain_q05"])


def changed(folder: Path, *statements: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Publish prices and change the file; connect to it."""
    file = publish_prices(folder)
    file.chmod(0o644)
    with duckdb.connect(str(file)) as connection:
        for text in statements:
            connection.execute(text)
    with PublishedFile(file).reading() as connection:
        yield connection


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A product of soup is kept, one of tea has no cost, and attributes have names of the page's own."""
    yield from changed(
        tmp_path_factory.mktemp("other"),
        "UPDATE recommended_prices SET action = 'keep', price_recommended = price_now, binding_rule = 'locked' "
        "WHERE product = 'leek'",
        "UPDATE recommended_prices SET profit_change = NULL, profit_change_q05 = NULL, profit_change_q95 = NULL "
        "WHERE product = '=1+1'",
        *(
            f"ALTER TABLE recommended_prices ADD COLUMN {name} VARCHAR DEFAULT 'x'"
            for name in ("value", "gain", "gain_of", "gain_q05", "price_change", "decision")
        ),
    )


def test_what_changes_do_to_kept_products_is_in_the_sum(other):
    counts, (total,) = recommendations.totals(other, Filters([SOUP]))
    assert counts == {"raise": 2, "lower": 0, "keep": 1}
    rows = recommendations.page(other, Filters([SOUP]), ACTIONS, "product")
    assert rows["gain"][0] != 0
    assert total.expected == pytest.approx(rows["gain"].sum())
    assert recommendations.totals(other, Filters(text="leek"))[1] == []


def test_products_without_a_cost_have_a_sum_of_their_own(other):
    _, (known, others) = recommendations.totals(other, Filters())
    assert [(total.products, total.gain_of) for total in (known, others)] == [(6, "profit"), (1, "revenue")]
    rows = recommendations.page(other, Filters(), ACTIONS, "product").groupby("gain_of")["gain"].sum()
    assert [known.expected, others.expected] == pytest.approx([rows["profit"], rows["revenue"]])


def test_attributes_may_have_the_names_of_the_page_s_own_columns(other):
    assert recommendations.attributes(other)["value"] == ["x"]
    for name in ("gain", "gain_of", "price_change"):
        assert len(products(other, Filters(attributes={name: ["x"]}))) == 7
        assert products(other, Filters(attributes={name: ["y"]})) == []
    assert len(recommendations.keys(other, Filters(), ACTIONS, 10)) == 7


def test_why_most_prices_stay(connection, other):
    assert recommendations.why_kept(other, Filters(text="leek")) == KEPT[LOCKED]
    assert recommendations.why_kept(connection, Filters(text="nowhere")) == ""


def test_errors_of_the_price_index_do_not_cancel(tmp_path):
    """A hundred products 9% dearer, of elasticities known to 0.3, a fifth of it shared; the index's effect to 0.5."""
    n, log_ratio = 100, math.log(1.09)
    sd = math.hypot(0.3, 0.5) * log_ratio
    low, high = (10 * (math.exp(sign * Z90 * sd) - 1) for sign in (-1, 1))
    one = f"SELECT 'soup' AS category, 'p' || range AS product FROM range({n})"
    with duckdb.connect(str(tmp_path / "prices.duckdb")) as connection:
        for table, values in {
            "recommended_prices": "NULL::VARCHAR AS zone, 1.0 AS price_now, 1.09 AS price_recommended, "
            "'raise' AS action, 1.0 AS prob_gain, NULL AS binding_rule, 'r' AS reason, 'refit' AS refit_id, "
            + ", ".join(
                f"{value}::DOUBLE AS {what}_change{end}"
                for what in ("units", "revenue", "profit")
                for end, value in (("", 0.0), ("_q05", low), ("_q95", high))
            ),
            "product_elasticity": "10.0 AS units_per_period, 0.6 AS shrinkage, 0.0 AS elasticity, "
            "0.3 AS elasticity_sd, "
            + ", ".join(
                f"NULL::DOUBLE AS elasticity_{name}"
                for name in (
                    "q05",
                    "q50",
                    "q95",
                    *(f"long_run{e}" for e in ("", "_sd", "_q05", "_q50", "_q95")),
                )
            ),
            "promotion_elasticity": "0.0 AS log_regular_price_sd, "
            + ", ".join(
                f"NULL::DOUBLE AS regular_elasticity_long_run{e}" for e in ("", "_sd", "_q05", "_q50", "_q95")
            ),
        }.items():
            connection.execute(f"CREATE TABLE {table} AS SELECT *, {values} FROM ({one})")
        connection.execute(
            "CREATE TABLE zone_elasticity (category VARCHAR, product VARCHAR, zone VARCHAR, units_per_period DOUBLE, "
            "elasticity_sd DOUBLE, shared_sd DOUBLE)"
        )
        connection.execute(
            "CREATE TABLE category_elasticity AS SELECT 'soup' AS category, 0.1 AS elasticity_sd, "
            "0.0 AS elasticity_later_sd"
        )
        _, (total,) = recommendations.totals(connection, Filters())
    own = 10 * log_ratio * 0.3 * math.sqrt(n * (1 - 0.2**2) + (n * 0.2) ** 2)
    index = 10 * log_ratio * 0.5 * n
    # Approximately: quantiles of a product's gain are skewed.
    assert (total.high - total.low) / (2 * Z90) == pytest.approx(math.hypot(own, index), rel=0.01)


@pytest.mark.parametrize("objective", ["revenue", "margin_floor", "units"])
def test_gains_are_in_what_the_settings_ask_for(connection, objective):
    of = "units" if objective == "units" else "revenue"
    rows = recommendations.page(connection, Filters(objective=objective), ACTIONS, "largest gain")
    assert set(rows["gain_of"]) == {of}
    assert rows["gain"].tolist() == rows[f"{of}_change"].tolist()
    assert rows["gain_q05"].tolist() == rows[f"{of}_change_q05"].tolist()
    _, (total,) = recommendations.totals(connection, Filters(objective=objective))
    assert (total.gain_of, total.expected) == (of, pytest.approx(rows[f"{of}_change"].sum()))


def test_keys_name_what_pages_show(connection):
    keys = recommendations.keys(connection, Filters(), ["keep"], 10)
    assert keys == [(HOSTILE, IMAGE, None, 2.25)]


def test_a_zone_has_prices_and_sums_of_its_own(connection):
    assert recommendations.zones(connection) == [SOUTH, NORTH]
    south = Filters(zone=SOUTH)
    rows = recommendations.page(connection, south, ACTIONS, "product")
    assert rows["product"].tolist() == ["leek", "onion", "tomato"]
    assert set(rows["zone"]) == {SOUTH}
    _, (total,) = recommendations.totals(connection, south)
    assert total.expected == pytest.approx(rows["gain"].sum())
    width = rows["gain_q95"] - rows["gain_q05"]
    assert (width**2).sum() ** 0.5 < total.high - total.low < width.sum()
    assert {zone for _, _, zone, _ in recommendations.keys(connection, south, ACTIONS, 10)} == {SOUTH}


def test_values_to_filter_by(connection):
    assert recommendations.categories(connection) == sorted([SOUP, HOSTILE])
    # The most frequent value first.
    assert recommendations.attributes(connection) == {ATTRIBUTE: [HOSTILE, SOUP, "national"]}
