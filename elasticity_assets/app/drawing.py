"""Texts and charts on the page. What the files say is shown as it is: no Markdown, no HTML, nothing fetched."""

from html import escape
from math import isfinite
from string import punctuation
from typing import Any

import streamlit as st

from elasticity_assets.report import vega_lite
from elasticity_assets.report.charts import Chart
from elasticity_assets.words import in_one_line

SIGNS = {"raise": "▲", "lower": "▼", "keep": "●"}
PERIODS = {"day": "a day", "week": "a week", "month": "a month", "quarter": "a quarter"}

_STYLE = """
<style>
.stMainBlockContainer {padding-top: 4rem; padding-bottom: 2rem;}
.answer {font-size: 1.9rem; font-weight: 700; line-height: 1.25; margin: 0;}
.answer small {display: block; font-size: 1.05rem; font-weight: 400; margin-top: .35rem; opacity: .85;}
.quiet {font-size: .9rem; opacity: .7; margin: 0; overflow-wrap: anywhere;}
.warn {border-left: 4px solid #d9822b; padding: .35rem .8rem; margin: 0; overflow-wrap: anywhere;}
.name {font-size: 1.5rem; font-weight: 700; margin: 0; overflow-wrap: anywhere;}
.name small {display: block; font-size: .9rem; font-weight: 400; opacity: .7;}
.row {margin: .3rem 0 0 0; font-size: .95rem; overflow-wrap: anywhere;}
.key {font-size: .85rem; opacity: .8; margin: 0;}
.key span {white-space: nowrap; margin-right: 1rem;}
.key i {display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: .35em;}
</style>
"""


def style() -> None:
    """Put the page's few rules of style in."""
    st.html(_STYLE)


def paragraph(text: object, kind: str = "row", further: object = "") -> None:
    """Show a text as it is, whatever signs it has.

    Parameters
    ----------
    text : object
    kind : str
        Class of style: answer, quiet, warn, name or row.
    further : object
        A smaller text below it.
    """
    small = f"<small>{escape(str(further))}</small>" if further else ""
    st.html(f'<p class="{kind}">{escape(str(text))}{small}</p>')


def chart(shown: Chart, *, key: bool = True) -> None:
    """Draw one of the report's charts, with what its colours mean above it."""
    if shown.title:
        paragraph(shown.title, "quiet")
    colours = vega_lite.KEYS.get(shown.kind, {}) if key else {}
    if colours:
        parts = (
            f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
            for name, colour in colours.items()
        )
        st.html(f'<p class="key">{"".join(parts)}</p>')
    st.vega_lite_chart(
        {
            **vega_lite.specification(shown.kind),
            "datasets": {name: _rows(columns) for name, columns in shown.data.items()},
            "height": shown.height,
            "description": shown.description,
        },
        theme=None,
        width="stretch",
    )


def plain(text: str) -> str:
    """Give a text for where Streamlit takes Markdown, such as a label, so that it is shown as it is."""
    return "".join(f"\\{sign}" if sign in punctuation else sign for sign in in_one_line(text))


def name_of(product: object, description: object) -> str:
    """Name a product by code and, where there is one, description, in one line."""
    return in_one_line(
        f"{product} {description}" if isinstance(description, str) and description else product
    )


def move(action: str, now: float, recommended: float) -> str:
    """Say from which price to which."""
    to = "" if action == "keep" else f" → {price(recommended)}"
    return f"{SIGNS[action]} {price(now)}{to}"


def money(value: float | None, *, signed: bool = False) -> str:
    """Write an amount: whole ones from a thousand on."""
    if value is None or not isfinite(value):
        return "–"
    digits = 0 if abs(value) >= 1000 else 2
    return _number(value, digits, signed=signed)


def interval(low: float, high: float) -> str:
    """Write the ends of a 90% interval of changes."""
    return f"90%: {money(low, signed=True)} to {money(high, signed=True)}"


def signed(value: float) -> str:
    """Write an elasticity, with a true minus sign."""
    return _number(value, 2)


def share(value: float | None, digits: int = 0) -> str:
    """Write a change as a percentage, with its sign."""
    if value is None or not isfinite(value):
        return "–"
    return f"{value + 0.0:+.{digits}%}".replace("-", "−")


def price(value: float | None) -> str:
    """Write a price: two digits, or four that count below one."""
    if value is None or not isfinite(value):
        return "–"
    return f"{value:,.2f}" if value >= 0.1 else f"{value:.4g}"


def _number(value: float, digits: int, *, signed: bool = False) -> str:
    rounded = round(float(value), digits) + 0.0  # no minus before 0
    sign = "+" if signed and rounded else ""
    return f"{rounded:{sign},.{digits}f}".replace("-", "−")


def _rows(columns: Any) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
