"""The first view: which prices to raise, to lower and to keep, what that brings, and how surely."""

import pandas as pd
import streamlit as st

from elasticity_assets.app import decisions as downloads
from elasticity_assets.app import drawing, recommendations
from elasticity_assets.app.decisions import Decisions
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.app.recommendations import ACTIONS, ORDERS, ROWS, Filters, Total
from elasticity_assets.app.unreadable import unreadable_told
from elasticity_assets.settings import Settings

ACCEPTED, REJECTED = "accepted", "rejected"
NAME, MOVE = 205, 125
"""Widths of the first columns, so that a telephone shows them, too; pixels."""
_MARKS = {ACCEPTED: "✔ accepted", REJECTED: "✘ rejected", "": ""}


def show(file: PublishedFile, settings: Settings) -> None:
    """Show it.

    Parameters
    ----------
    file : PublishedFile
    settings : Settings
    """
    decisions: Decisions = st.session_state.setdefault("decisions", Decisions())
    stamp = file.stamp()
    if st.session_state.get("decided on") != stamp:
        with file.reading() as connection:
            downloads.drop_changed(connection, decisions)
        st.session_state["decided on"] = stamp
    _prices(file, settings, decisions, bool(decisions.made))
    _downloads(file, decisions)


@st.fragment
def _prices(file: PublishedFile, settings: Settings, decisions: Decisions, any_made: bool) -> None:
    """Show the prices, to be decided on.

    A click in it runs only this anew: a run of the page makes new addresses for the downloads, and for a moment the
    browser would still have those that are gone.
    """
    if bool(decisions.made) != any_made:
        st.rerun()  # for the downloads' buttons, which work where something is decided
    with unreadable_told(file), file.reading() as connection:
        period = drawing.PERIODS[settings.sales.period]
        answer = st.container()
        filters, actions, order = _filters(
            recommendations.categories(connection),
            recommendations.attributes(connection),
            recommendations.zones(connection),
            settings.pricing.objective,
        )
        counts, totals = recommendations.totals(connection, filters)
        with answer:
            _answer(counts, totals, recommendations.why_kept(connection, filters), period)
        products = sum(counts[action] for action in actions)
        asked = f"{filters} {actions} {order}"
        number = page_number(products, asked)
        rows = recommendations.page(connection, filters, actions, order, number)
        chosen = _table(rows, decisions, period, f"{file.stamp()} {asked} {number}")
        _decide(file, decisions, rows.iloc[chosen], filters, actions, products)
    accepted, rejected = decisions.count(ACCEPTED), decisions.count(REJECTED)
    drawing.paragraph(
        f"{accepted:,} accepted, {rejected:,} rejected; they last as long as this page is open.", "quiet"
    )


def _answer(counts: dict[str, int], totals: list[Total], why_kept: str, period: str) -> None:
    """Say in two lines what to do and what it brings."""
    kept = counts["keep"]
    if counts["raise"] or counts["lower"]:
        brings = f"That brings {_brings(totals, period)}." if totals else ""
        answer = f"Raise {counts['raise']:,} prices, lower {counts['lower']:,}, keep {kept:,}."
        drawing.paragraph(answer, "answer", brings)
    elif kept:
        drawing.paragraph(
            "Keep its price." if kept == 1 else f"Keep all {kept:,} prices.", "answer", why_kept
        )


def _brings(totals: list[Total], period: str) -> str:
    """Say the sums; where some products have costs and others have none, whose each is."""
    whose = [""]
    if len(totals) > 1:
        known = totals[0].products
        whose = [f" of the {known:,} products with a cost" if known > 1 else " of the product with a cost"]
        whose.append(" of the others")
    return " and ".join(
        f"{drawing.money(total.expected, signed=True)} {total.gain_of} {period}{of} "
        f"({drawing.interval(total.low, total.high)})"
        for total, of in zip(totals, whose, strict=True)
    )


def _filters(
    categories: list[str], attributes: dict[str, list[str]], zones: list[str], objective: str
) -> tuple[Filters, list[str], str]:
    """Ask what to look at."""
    actions = st.pills(
        "show",
        ACTIONS,
        default=["raise", "lower"],
        selection_mode="multi",
        format_func=lambda action: f"{drawing.SIGNS[action]} {action}",
        key="actions",
        persist_state="session",
    )
    search, category, further = st.columns([2, 2, 1], vertical_alignment="bottom")
    text = search.text_input(
        "search", placeholder="product code or description", key="text", persist_state="session"
    )
    chosen = category.multiselect(
        "category", categories, placeholder="all", key="categories", persist_state="session"
    )
    zone = None
    with further.popover("more filters", width="stretch"):
        if zones:
            zone = st.selectbox(
                "prices in zone",
                zones,
                index=None,
                placeholder="all: one change everywhere",
                key="zone",
                persist_state="session",
            )
        order = st.selectbox("sort by", list(ORDERS), key="order", persist_state="session")
        of_attributes = {
            name: st.multiselect(drawing.plain(name), values, placeholder="all", key=f"attribute {name}")
            for name, values in attributes.items()
        }
    return Filters(chosen, of_attributes, text, objective, zone), [a for a in ACTIONS if a in actions], order


def page_number(products: int, of: str) -> int:
    """Ask which page, where there are several, and give it, from 0; another question begins at the first."""
    if st.session_state.get("pages of") != of:
        st.session_state["pages of"] = of
        st.session_state["page number"] = 1
    last = max(-(-products // ROWS), 1)
    if last == 1:
        return 0
    with st.container(horizontal=True, vertical_alignment="center"):
        number = st.number_input("page", 1, last, key="page number", width=160)
        drawing.paragraph(f"of {last:,} pages, {products:,} products", "quiet")
    return int(number) - 1


def _table(rows: pd.DataFrame, decisions: Decisions, period: str, of: str) -> list[int]:
    """Show one page of rows; give the places of those that are chosen, which are none where others are asked for."""
    if rows.empty:
        drawing.paragraph("No product is like that: widen the search, or show kept prices, too.", "quiet")
        return []
    shown = pd.DataFrame(
        {
            "product": [
                drawing.name_of(*names)
                for names in zip(rows["product"], rows["product_description"], strict=True)
            ],
            "price": [
                drawing.move(*change)
                for change in zip(rows["action"], rows["price_now"], rows["price_recommended"], strict=True)
            ],
            "gain": rows["gain"],
            "confidence": 100 * rows["prob_gain"],
            "decision": [_MARKS[decision] for decision in decisions.of(rows)],
            "at worst": rows["gain_q05"],
            "at best": rows["gain_q95"],
            "in": rows["gain_of"],
            "change": 100 * rows["price_change"],
            "units": rows["units_change"],
            "category": rows["category"],
            **({"zone": rows["zone"]} if rows["zone"].notna().any() else {}),
            "why": rows["reason"],
            "careful": rows["flag"],
        }
    )
    column, number = st.column_config, st.column_config.NumberColumn
    event = st.dataframe(
        shown,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"table {of}",
        height=min(38 + 35 * len(shown), 560),
        column_config={
            "product": column.TextColumn(width=NAME),
            "price": column.TextColumn(width=MOVE),
            "change": number("price change", format="%+.1f%%", width="small"),
            "gain": number(
                f"gain {period}", format="%+.2f", help="Expected, all recommended prices in force"
            ),
            "at worst": number(format="%+.2f", help="Lower end of the 90% interval"),
            "at best": number(format="%+.2f", help="Upper end of the 90% interval"),
            "in": column.TextColumn(
                width="small", help="As pricing.objective says; without costs revenue stands for profit"
            ),
            "confidence": column.ProgressColumn(
                format="%.0f%%", min_value=0, max_value=100, help="Probability that the change gains"
            ),
            "units": number(f"units {period}", format="%+.2f", help="Expected change of the units sold"),
            "decision": column.TextColumn(width="small"),
            "why": column.TextColumn(width="large"),
            "careful": column.TextColumn("careful with", width="large"),
        },
    )
    return [place for place in event.selection.rows if place < len(rows)]


def _decide(
    file: PublishedFile,
    decisions: Decisions,
    chosen: pd.DataFrame,
    filters: Filters,
    actions: list[str],
    products: int,
) -> None:
    """Offer what can be done with the chosen rows, or with those of all pages where none is chosen."""
    count = len(chosen) or min(products, downloads.MOST)
    many = f"{count:,} chosen" if len(chosen) else f"all {count:,}"

    def decide(decision: str) -> None:
        keys = downloads.keys_of(chosen)
        if not keys:
            with file.reading() as connection:
                keys = recommendations.keys(connection, filters, actions, downloads.MOST)
        decisions.decide(keys, decision)

    with st.container(horizontal=True):
        for label, decision in (
            (f"Accept {many}", ACCEPTED),
            (f"Reject {many}", REJECTED),
            ("Take back", ""),
        ):
            st.button(label, disabled=not count, on_click=decide, args=(decision,))
        for label, view in (("Open product", "product"), ("What if", "what_if")):
            if st.button(label, disabled=len(chosen) != 1, help="Choose one row at its left end"):
                st.switch_page(
                    st.session_state["views"][view],
                    query_params={name: str(chosen.iloc[0][name]) for name in ("category", "product")},
                )


def _downloads(file: PublishedFile, decisions: Decisions) -> None:
    """Offer the decisions as files; they are written when they are asked for."""

    def rows() -> pd.DataFrame:
        with file.reading() as connection:
            return downloads.decided(connection, decisions)

    with st.container(horizontal=True):
        nothing = not decisions.made
        st.download_button(
            "Excel", lambda: downloads.xlsx(rows()), "prices.xlsx", disabled=nothing, on_click="ignore"
        )
        st.download_button(
            "CSV",
            lambda: downloads.csv(rows()),
            "prices.csv",
            "text/csv",
            disabled=nothing,
            on_click="ignore",
        )
