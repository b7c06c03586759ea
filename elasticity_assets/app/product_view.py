"""A product's own page: what to do with its price and why, its demand curve, history and substitutes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from elasticity_assets.app import drawing, products
from elasticity_assets.app.products import Product
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.inference.posterior import Summary
from elasticity_assets.report import charts
from elasticity_assets.report.sensitivity import sensitivity
from elasticity_assets.report.uniform_pricing import uniform_pricing_of
from elasticity_assets.settings import Settings


def show(file: PublishedFile, settings: Settings) -> None:
    """Show the product that the address names, or that is searched for.

    Parameters
    ----------
    file : PublishedFile
    settings : Settings
    """
    chosen = pick(file)
    if chosen is None:
        return
    with file.reading() as connection:
        product = products.read_product(connection, *chosen, settings.pricing.objective)
    if product is None:
        drawing.paragraph(f"There is no product {chosen[1]} in {chosen[0]} any more.", "warn")
        return
    per = drawing.PERIODS[settings.sales.period]
    _heading(product, per, settings.pricing.objective)
    left, right = st.columns(2, gap="large")
    with left:
        _demand(product)
        _substitutes(product)
        _zones(product, per, settings.pricing.objective)
    with right:
        _history(product)


def pick(file: PublishedFile) -> tuple[str, str] | None:
    """Give category and code of the product that the address names, or let one be searched for."""
    named = (st.query_params.get("category"), st.query_params.get("product"))
    text = st.text_input("find a product", placeholder="code or description", key="find")
    if text.strip():
        with file.reading() as connection:
            found = products.search(connection, text)
        if not found:
            drawing.paragraph("No product has that in its code or description.", "quiet")
        else:
            places = {
                f"{drawing.name_of(code, description)} ({category})": (category, code)
                for category, code, description in found
            }
            chosen = st.selectbox(
                f"{len(found)} found" if len(found) < products.MOST_FOUND else "those that sell for most",
                list(places),
                index=None,
                placeholder="choose",
                key="found",
            )
            if chosen in places:
                st.query_params.from_dict(dict(zip(("category", "product"), places[chosen], strict=True)))
                return places[chosen]
    if named[0] is None or named[1] is None:
        drawing.paragraph("Search for a product, or choose one in the table of prices to change.", "quiet")
        return None
    return named[0], named[1]


def _heading(product: Product, per: str, objective: str) -> None:
    row, recommended = product.row, product.recommendation
    drawing.paragraph(drawing.name_of(row["product"], row["product_description"]), "name")
    drawing.paragraph(row["category"], "quiet")
    if recommended is not None:
        _recommendation(recommended, per, objective)
    if row["flag"]:
        drawing.paragraph(f"Careful: {row['flag']}.", "warn")
    if not row["estimated"]:
        drawing.paragraph("Its elasticity is not estimated from its own sales.", "warn")
    if product.verdict:
        kind = "warn" if product.confounded else "row"
        drawing.paragraph(f"Causal evidence of its category: {product.verdict}", kind)
    if row["robustness"] is not None:
        drawing.paragraph(f"{sensitivity(row['robustness'], product.strongest_control, 'its elasticity')}.")
    if product.test is not None:
        _test(product.test, per)
    numbers = (
        ("elasticity", drawing.signed(row["elasticity"])),
        (
            "90% interval",
            f"{drawing.signed(row['elasticity_q05'])} to {drawing.signed(row['elasticity_q95'])}",
        ),
        ("price", drawing.price(row["price_latest"])),
        (f"units {per}", drawing.money(row["units_per_period"])),
        (f"revenue {per}", drawing.money(row["revenue_per_period"])),
    )
    with st.container(horizontal=True):
        for label, value in numbers:
            st.metric(label, value, width="content")
    drawing.paragraph(
        f"1% dearer sells {drawing.price(abs(row['elasticity']))}% "
        f"{'fewer' if row['elasticity'] < 0 else 'more'}, if the rest of the category keeps its prices.",
        "quiet",
    )
    if st.button("What if its price changes?"):
        st.switch_page(
            st.session_state["views"]["what_if"],
            query_params={"category": row["category"], "product": row["product"]},
        )


def _recommendation(row: Mapping[str, Any], per: str, objective: str) -> None:
    """Say what is recommended, what it brings in what the objective counts, and why."""
    if row["action"] == "keep":
        answer = f"Keep {drawing.price(row['price_now'])}."
        further = ""
    else:
        of = objective if objective in ("units", "profit") else "revenue"
        if of == "profit" and row["profit_change"] is None:
            of = "revenue"
        change = row["price_recommended"] / row["price_now"] - 1
        answer = (
            f"{row['action'].capitalize()} {drawing.price(row['price_now'])} to "
            f"{drawing.price(row['price_recommended'])} ({drawing.share(change, 1)})."
        )
        ends = drawing.interval(row[f"{of}_change_q05"], row[f"{of}_change_q95"])
        sure = "" if row["prob_gain"] is None else f"; it gains with a probability of {row['prob_gain']:.0%}"
        further = f"{drawing.money(row[f'{of}_change'], signed=True)} {of} {per} ({ends}){sure}."
    drawing.paragraph(answer, "answer", further)
    drawing.paragraph(f"Why: {row['reason']}.", "row")


def _test(row: Mapping[str, Any], per: str) -> None:
    """Say which test would tell its elasticity, and what that would bring."""
    drawing.paragraph(
        f"Worth a price test, number {row['rank']:,.0f} of all: {drawing.price(row['price_low'])} and "
        f"{drawing.price(row['price_high'])} in turns, {row['periods']:.0f} periods in all; the price chosen after it "
        f"is expected to gain {drawing.money(row['gain_per_period'], signed=True)} {per} more."
    )


def _demand(product: Product) -> None:
    curve = products.curve_of(product)
    st.subheader("Demand curve", anchor=False)
    if curve is None:
        drawing.paragraph("Nothing was sold of late: there is no curve to draw.", "quiet")
        return
    row = product.row
    one = Summary(*(np.array([row[name]], np.float64) for name in _SUMMARY))
    name = drawing.name_of(row["product"], row["product_description"])
    drawing.chart(charts.demand(curve, "at today's price and recent units", name, one, 0), key=False)
    drawing.paragraph(
        "Line: units at each price, from today's price and recent units on; band: its 90% interval. Points: the "
        "periods as they were sold, promotions and seasons among them.",
        "quiet",
    )


_SUMMARY = (
    "elasticity",
    "elasticity_sd",
    "elasticity_q05",
    "elasticity_q50",
    "elasticity_q95",
    "prob_elastic",
)


def _history(product: Product) -> None:
    periods, refits = product.periods, product.refits
    st.subheader("History", anchor=False)
    days = periods["period_start"].dt.strftime("%Y-%m-%d").tolist()
    drawing.chart(charts.prices(days, periods["price"].to_numpy(np.float64)))
    drawing.chart(charts.units(days, periods["units"].to_numpy(np.float64)))
    columns = (refits[f"elasticity{end}"].to_numpy(np.float64) for end in ("", "_q05", "_q95"))
    times = refits["refitted_at"].dt.strftime("%Y-%m-%dT%H:%M:%S").tolist()
    drawing.chart(charts.refits(times, *columns))


def _substitutes(product: Product) -> None:
    st.subheader("Substitutes", anchor=False)
    if product.substitutes.empty:
        drawing.paragraph(
            "The settings name no group of substitutes for it (sales.columns.substitutes), or nothing is known "
            "of them.",
            "quiet",
        )
        return
    rows = product.substitutes
    shown = pd.DataFrame(
        {
            "substitute": [
                drawing.name_of(*names)
                for names in zip(rows["product"], rows["product_description"], strict=True)
            ],
            "price": rows["price_latest"],
            "10% dearer there": 100 * (1.1 ** rows["elasticity"] - 1),
            "from": 100 * (1.1 ** rows["elasticity_q05"] - 1),
            "to": 100 * (1.1 ** rows["elasticity_q95"] - 1),
        }
    )
    number = st.column_config.NumberColumn
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "price": number(format="%.2f"),
            "10% dearer there": number(format="%+.1f%%", help="What this product's units do then"),
            "from": number(format="%+.1f%%", help="Lower end of the 90% interval"),
            "to": number(format="%+.1f%%", help="Upper end of the 90% interval"),
        },
    )


def _zones(product: Product, per: str, objective: str) -> None:
    """Show its prices by zone, and what uniform pricing costs; nothing where zones are not known."""
    rows = product.zones
    if rows.empty:
        return
    st.subheader("Prices by zone", anchor=False)
    recommendation = product.recommendation or {}
    has_costs = recommendation.get("profit_change") is not None
    if told := uniform_pricing_of(product.uniform, objective, per, has_costs=has_costs):
        drawing.paragraph(told)
    if len(rows) == products.MOST_ZONES:
        drawing.paragraph(f"The {products.MOST_ZONES} zones that gain most.", "quiet")
    shown = pd.DataFrame(
        {
            "zone": rows["zone"],
            "price": [
                drawing.move(*change)
                for change in zip(rows["action"], rows["price_now"], rows["price_recommended"], strict=True)
            ],
            "gain": rows["gain"],
            "confidence": 100 * rows["prob_gain"],
            "elasticity": rows["elasticity"],
            "from": rows["elasticity_q05"],
            "to": rows["elasticity_q95"],
            "why": rows["reason"],
        }
    )
    column, number = st.column_config, st.column_config.NumberColumn
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "gain": number(f"gain {per}", format="%+.2f", help="Expected, all prices by zone in force"),
            "confidence": column.ProgressColumn(format="%.0f%%", min_value=0, max_value=100),
            "elasticity": number(format="%.2f"),
            "from": number(format="%.2f", help="Lower end of the 90% interval"),
            "to": number(format="%.2f", help="Upper end of the 90% interval"),
            "why": column.TextColumn(width="large"),
        },
    )
