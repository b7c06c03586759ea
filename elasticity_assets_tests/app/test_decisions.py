"""Accepted and rejected recommendations come back from both kinds of files as they are."""

from collections.abc import Iterator
from io import BytesIO

import duckdb
import openpyxl
import pandas as pd
import pytest

from elasticity_assets.app import decisions as downloads
from elasticity_assets.app import recommendations
from elasticity_assets.app.decisions import Decisions
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.app.recommendations import ACTIONS, Filters
from elasticity_assets_tests.support.prices_to_change import CATALOGUE, FORMULA, SOUP, publish_prices
from elasticity_assets_tests.support.zoned_prices import NORTH

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    file = PublishedFile(publish_prices(tmp_path_factory.mktemp("prices")))
    with file.reading() as connection:
        yield connection


@pytest.fixture
def decided(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    made = Decisions()
    keys = recommendations.keys(connection, Filters(), ACTIONS, 100)
    made.decide(keys, "accepted")
    made.decide([key for key in keys if key[0] == SOUP], "rejected")
    made.decide([key for key in keys if key[1] == "leek"], "")
    return downloads.decided(connection, made)


def test_what_was_decided_last_stands(decided):
    assert dict(zip(decided["product"], decided["decision"], strict=True)) == {
        "tomato": "rejected",
        "onion": "rejected",
        **dict.fromkeys(list(CATALOGUE.values())[1], "accepted"),
    }


def test_a_recommendation_that_a_refit_changed_is_no_more_decided(connection):
    made = Decisions()
    made.decide([(SOUP, "leek", None, 99.0)], "accepted")
    assert downloads.decided(connection, made).empty
    kept = recommendations.keys(connection, Filters(text="onion"), ACTIONS, 1)
    made.decide(kept, "rejected")
    downloads.drop_changed(connection, made)
    assert made.made == {kept[0]: "rejected"}
    assert list(downloads.decided(connection, Decisions()).columns)[:2] == ["decision", "category"]


def test_what_is_decided_in_a_zone_holds_there_alone(connection):
    made = Decisions()
    made.decide(recommendations.keys(connection, Filters(text="onion", zone=NORTH), ACTIONS, 9), "accepted")
    rows = downloads.decided(connection, made)
    assert rows[["product", "zone"]].to_numpy().tolist() == [["onion", NORTH]]
    assert made.of(recommendations.page(connection, Filters(text="onion"), ACTIONS, "product")) == [""]
    assert made.of(rows) == ["accepted"]


def test_csv_comes_back(decided):
    back = pd.read_csv(BytesIO(downloads.csv(decided)))
    pd.testing.assert_frame_equal(
        back.dropna(axis=1, how="all"), decided.dropna(axis=1, how="all"), check_dtype=False
    )


def test_xlsx_comes_back_and_texts_are_no_formulas(decided):
    content = downloads.xlsx(decided)
    back = pd.read_excel(BytesIO(content), engine="openpyxl")
    pd.testing.assert_frame_equal(
        back.dropna(axis=1, how="all"), decided.dropna(axis=1, how="all"), check_dtype=False
    )
    sheet = openpyxl.load_workbook(BytesIO(content)).active
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value == FORMULA]
    assert cells
    assert {cell.data_type for cell in cells} == {"s"}  # 'f' would be a formula
    assert not any(cell.hyperlink for row in sheet.iter_rows() for cell in row)


def test_what_no_workbook_can_hold_is_replaced():
    rows = pd.DataFrame({"product": ["a\x00b", None], "price": [float("nan"), 2.5]})
    sheet = openpyxl.load_workbook(BytesIO(downloads.xlsx(rows))).active
    rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
    assert rows == [["a\N{REPLACEMENT CHARACTER}b", None], [None, 2.5]]
