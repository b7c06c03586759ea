"""The view of price tests: which products' elasticities are worth knowing better, and how to test their prices."""

import pandas as pd
import streamlit as st

from elasticity_assets.app import drawing, price_tests, recommendations
from elasticity_assets.app.price_tests import TestFilters
from elasticity_assets.app.prices_view import NAME, page_number
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.settings import Settings


def show(file: PublishedFile, settings: Settings) -> None:
    """Show it.

    Parameters
    ----------
    file : PublishedFile
    settings : Settings
    """
    with file.reading() as connection:
        answer = st.container()
        search, category = st.columns(2)
        text = search.text_input(
            "search", placeholder="product code or description", key="test text", persist_state="session"
        )
        categories = category.multiselect(
            "category",
            recommendations.categories(connection),
            placeholder="all",
            key="test categories",
            persist_state="session",
        )
        filters = TestFilters(categories, text)
        count = price_tests.count(connection, filters)
        with answer:
            _answer(count)
        if not count:
            return
        number = page_number(count, str(filters))
        rows = price_tests.page(connection, filters, number)
    chosen = _table(rows, settings, f"{file.stamp()} {filters} {number}")
    if st.button("Open product", disabled=chosen is None, help="Choose one row at its left end"):
        st.switch_page(
            st.session_state["views"]["product"],
            query_params={name: str(rows.iloc[chosen or 0][name]) for name in ("category", "product")},
        )


def _answer(count: int) -> None:
    """Say in two lines what is worth testing."""
    if not count:
        drawing.paragraph(
            "No price test is worth it.",
            "answer",
            "No product that is looked at would get a better price if its elasticity were known better.",
        )
        return
    drawing.paragraph(
        "Test this price first." if count == 1 else f"{count:,} prices are worth a test: begin at the top.",
        "answer",
        "Two prices charged in turns, by a plan that does not look at demand: the price chosen after it is expected to "
        "gain more.",
    )


def _table(rows: pd.DataFrame, settings: Settings, of: str) -> int | None:
    """Show one page of tests; give the place of the row that is chosen, None without one."""
    period = settings.sales.period
    shown = pd.DataFrame(
        {
            "product": [
                drawing.name_of(*names)
                for names in zip(rows["product"], rows["product_description"], strict=True)
            ],
            "prices": [
                f"{drawing.price(low)} | {drawing.price(high)}"
                for low, high in zip(rows["price_low"], rows["price_high"], strict=True)
            ],
            "periods": rows["periods"],
            "worth": rows["gain_per_period"],
            "rank": rows["rank"],
            "now": rows["price_now"],
            "elasticity": rows["elasticity"],
            "sd": rows["elasticity_sd"],
            "sd after": rows["sd_after"],
            "category": rows["category"],
            "why": rows["reason"],
        }
    )
    column, number = st.column_config, st.column_config.NumberColumn
    counted = "units" if settings.pricing.objective == "units" else "currency"
    event = st.dataframe(
        shown,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"tests {of}",
        height=min(38 + 35 * len(shown), 560),
        column_config={
            "product": column.TextColumn(width=NAME),
            "prices": column.TextColumn("in turns", width="small", help="The two prices of the test"),
            "periods": number(f"{period}s", format="%d", width="small", help="How long the test takes"),
            "worth": number(
                f"worth {drawing.PERIODS[period]}",
                format="%+.2f",
                help=f"What the price chosen after the test is expected to gain over today's choice, in {counted}",
            ),
            "rank": number(format="%d", width="small", help="By what a test brings for each period it takes"),
            "now": number("price now", format="%.2f"),
            "elasticity": number(format="%.2f"),
            "sd": number("known to", format="± %.2f", help="Standard deviation that is believed today"),
            "sd after": number("after the test", format="± %.2f"),
            "why": column.TextColumn(width="large"),
        },
    )
    return next((place for place in event.selection.rows if place < len(rows)), None)
