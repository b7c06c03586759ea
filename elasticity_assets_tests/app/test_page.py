"""What the three views say and do, without a browser: Streamlit's own AppTest on a small published file."""

from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from elasticity_assets.app import page
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets_tests.support.prices_to_change import (
    FORMULA,
    HOSTILE,
    HTML,
    IMAGE,
    SOUP,
    publish_prices,
)
from elasticity_assets_tests.support.zoned_prices import NORTH, SOUTH


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    publish_prices(folder)
    return folder / "elasticity.yaml"


def view(name: str, settings: Path, **query: str) -> AppTest:
    """Open a view, as the address names it."""

    def script(name: str, settings: str) -> None:
        from pathlib import Path

        import streamlit as st

        from elasticity_assets.app import drawing, page
        from elasticity_assets.app.published_file import published_by

        drawing.style()
        st.session_state["views"] = {}
        loaded, file = published_by(Path(settings))
        page.VIEWS[name][1](file, loaded)

    shown = AppTest.from_function(script, args=(name, str(settings)), default_timeout=30)
    for key, value in query.items():
        shown.query_params[key] = value
    return checked(shown.run())


def checked(shown: AppTest) -> AppTest:
    assert not shown.exception, shown.exception
    return shown


def texts(shown: AppTest) -> str:
    return "\n".join(element.proto.body for element in shown.get("html"))


def test_the_first_view_begins_with_the_answer(settings: Path) -> None:
    shown = view("prices", settings)
    assert "Raise 5 prices, lower 1, keep 1." in texts(shown)
    assert "profit a week" in texts(shown)
    table = shown.dataframe[0].value
    assert len(table) == 6
    assert table["gain"].is_monotonic_decreasing
    assert table["price"].iloc[0].startswith("▲ 2.25 → 2.46")


def test_filters_narrow_answer_and_table(settings: Path) -> None:
    shown = view("prices", settings)
    checked(shown.text_input(key="text").input("tomato").run())
    assert "Raise 1 prices, lower 0, keep 0." in texts(shown)
    assert len(shown.dataframe[0].value) == 1
    checked(shown.text_input(key="text").input("no such thing").run())
    assert "No product is like that" in texts(shown)
    assert "Keep" not in texts(shown)


def test_what_is_accepted_and_rejected_is_counted_and_taken_back(settings: Path) -> None:
    shown = view("prices", settings)
    buttons = {button.label: button for button in shown.button}
    checked(buttons["Accept all 6"].click().run())
    assert "6 accepted, 0 rejected" in texts(shown)
    checked(shown.text_input(key="text").input("tomato").run())
    reject = next(button for button in shown.button if button.label == "Reject all 1")
    checked(reject.click().run())
    assert "5 accepted, 1 rejected" in texts(shown)
    assert shown.dataframe[0].value["decision"].tolist() == ["✘ rejected"]
    back = next(button for button in shown.button if button.label == "Take back")
    checked(back.click().run())
    assert "5 accepted, 0 rejected" in texts(shown)


def test_a_products_own_page(settings: Path) -> None:
    shown = view("product", settings, category=SOUP, product="tomato")
    said = texts(shown)
    assert "tomato Description of tomato" in said
    assert "Raise 2.25 to 2.46 (+9.3%)." in said
    assert "Causal evidence of its category: a verdict on soup" in said
    assert (
        "Something unseen would have to explain 20% of what the model leaves of both prices and sales to move the "
        "interval of its elasticity to −1 or 0; display &lt;b&gt; explains 9% of prices and 4% of sales."
        in said
    )
    assert "Worth a price test" not in said
    assert {metric.label: metric.value for metric in shown.metric}["price"] == "2.25"
    assert len(shown.get("arrow_vega_lite_chart")) + len(shown.get("vega_lite_chart")) == 4
    assert shown.dataframe[0].value["substitute"].tolist() == [
        "leek Description of leek",
        "onion Description of onion",
    ]


def test_prices_by_zone_stand_on_the_products_page_and_can_be_listed(settings: Path) -> None:
    shown = view("product", settings, category=SOUP, product="tomato")
    table = shown.dataframe[1].value
    assert sorted(table["zone"]) == [SOUTH, NORTH]
    assert " profit a week more than one change in all zones (90%: " in texts(shown)
    assert len(view("product", settings, category=HOSTILE, product=FORMULA).dataframe) == 0
    listed = view("prices", settings)
    checked(listed.selectbox(key="zone").set_value(SOUTH).run())
    assert set(listed.dataframe[0].value["zone"]) == {SOUTH}
    accept = next(button for button in listed.button if button.label.startswith("Accept all"))
    checked(accept.click().run())
    assert f"{accept.label.split()[-1]} accepted, 0 rejected" in texts(listed)


def test_prices_to_test_are_listed(settings: Path) -> None:
    shown = view("tests", settings)
    table = shown.dataframe[0].value
    assert f"{len(table)} prices are worth a test: begin at the top." in texts(shown)
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert (table["worth"] > 0).all()
    assert table["prices"].iloc[0] == "2.04 | 2.46"
    checked(shown.text_input(key="test text").input(f"OF {FORMULA}").run())
    assert shown.dataframe[0].value["product"].tolist() == [f"{FORMULA} Description of {FORMULA}"]
    said = texts(view("product", settings, category=HOSTILE, product=FORMULA))
    assert "Worth a price test, number 1 of all: 2.04 and 2.46 in turns, 8 periods in all" in said
    checked(shown.text_input(key="test text").input("no such thing").run())
    assert "No price test is worth it." in texts(shown)


@pytest.mark.parametrize("objective", ["profit", "revenue", "units"])
def test_a_gain_is_told_in_what_the_settings_ask_for(tmp_path: Path, objective: str) -> None:
    publish_prices(tmp_path)
    file = tmp_path / "elasticity.yaml"
    file.write_text(f"{file.read_text()}\npricing:\n  objective: {objective}\n")
    assert f" {objective} a week (90%" in texts(view("product", file, category=SOUP, product="tomato"))


def test_hostile_texts_are_escaped(settings: Path) -> None:
    for code in (IMAGE, HTML):
        shown = view("product", settings, category=HOSTILE, product=code)
        assert "<img" not in texts(shown)
        assert "Careful" in texts(shown)
        assert '<p class="warn">Causal evidence of its category: a verdict on tea' in texts(shown)
        assert not shown.markdown


def test_a_product_is_found_by_its_description(settings: Path) -> None:
    shown = view("product", settings)
    assert "Search for a product" in texts(shown)
    checked(shown.text_input(key="find").input("OF ONI").run())
    found = shown.selectbox(key="found")
    assert found.options == ["onion Description of onion (soup)"]
    checked(found.select_index(0).run())
    assert "onion Description of onion" in texts(shown)
    assert shown.query_params["product"] == "onion"


def test_a_product_that_is_no_more(settings: Path) -> None:
    for name in ("product", "what_if"):
        assert "There is no product gone" in texts(view(name, settings, category=SOUP, product="gone"))
    shown = view("what_if", settings, category=SOUP, product="gone")
    for scope in ("its substitutes", "its category"):
        checked(shown.segmented_control[0].set_value(scope).run())
        assert "There is no product gone" in texts(shown)
        assert not shown.slider


def test_decisions_on_prices_that_a_refit_changed_are_no_more_counted(tmp_path: Path) -> None:
    published = publish_prices(tmp_path)
    shown = view("prices", tmp_path / "elasticity.yaml")
    checked(next(button for button in shown.button if button.label == "Accept all 6").click().run())
    assert "6 accepted" in texts(shown)
    other = tmp_path / "other.duckdb"
    other.write_bytes(published.read_bytes())
    with duckdb.connect(str(other)) as connection:
        connection.execute(
            "UPDATE recommended_prices SET price_recommended = 2.5 WHERE product IN ('onion', 'leek')"
        )
    other.replace(published)
    checked(shown.run())
    assert "4 accepted" in texts(shown)


def test_a_moved_price_is_answered_with_intervals(settings: Path) -> None:
    shown = view("what_if", settings, category=SOUP, product="tomato")
    assert [metric.label for metric in shown.metric] == ["profit a week", "revenue a week", "units a week"]
    assert not any(metric.delta for metric in shown.metric)
    (slider,) = shown.slider
    assert slider.value == pytest.approx(2.25)
    checked(slider.set_value(2.7).run())
    assert all(metric.delta for metric in shown.metric)
    assert shown.metric[2].delta.startswith("-")
    assert "Never charged before: 1.50 to 2.50 was." in texts(shown)
    assert "90%:" in texts(shown)


def test_a_what_if_warns_where_prices_follow_demand(settings: Path) -> None:
    told = "Prices of this category follow demand"
    assert told in texts(view("what_if", settings, category=HOSTILE, product=IMAGE))
    assert told not in texts(view("what_if", settings, category=SOUP, product="tomato"))


def test_prices_of_a_group_move_together(settings: Path) -> None:
    shown = view("what_if", settings, category=SOUP, product="tomato")
    checked(shown.segmented_control[0].set_value("its substitutes").run())
    everything, *each = shown.slider
    assert [slider.value for slider in each] == pytest.approx([2.25] * 3)
    checked(everything.set_value(-10.0).run())
    assert [slider.value for slider in shown.slider[1:]] == pytest.approx([2.025] * 3, abs=0.006)
    recommended = next(button for button in shown.button if button.label == "Recommended prices")
    checked(recommended.click().run())
    assert [slider.value for slider in shown.slider[1:]] == pytest.approx([2.46] * 3)


def test_without_a_published_file_the_page_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = publish_prices(tmp_path)
    elsewhere = published.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("ELASTICITY_CONFIG", str(tmp_path / "elasticity.yaml"))
    opened = 0
    opening = PublishedFile._opened

    def counted(file: PublishedFile) -> duckdb.DuckDBPyConnection:
        nonlocal opened
        opened += 1
        return opening(file)

    monkeypatch.setattr(PublishedFile, "_opened", counted)
    shown = checked(AppTest.from_file(page.__file__, default_timeout=30).run())
    assert texts(shown).count("nothing is published yet") == 1
    elsewhere.rename(published)
    checked(shown.run())
    assert "Raise 5 prices" in texts(shown)
    assert "Refit refit-1" in texts(shown)
    checked(shown.run())
    assert opened == 1  # not at each click
    old = tmp_path / "old.duckdb"
    old.write_bytes(published.read_bytes())
    with duckdb.connect(str(old)) as connection:
        connection.execute("ALTER TABLE recommended_prices DROP COLUMN reason")
    old.replace(published)
    checked(shown.run())
    assert texts(shown).count("Where an earlier version published it, run `elasticity refit`") == 1
