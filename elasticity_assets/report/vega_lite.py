"""How the report's charts are drawn: a Vega-Lite specification a kind of chart, and one theme.

A specification names its data sets and holds none, so that one serves all charts of its kind.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import altair as alt

Specification = dict[str, Any]

_OURS, _OTHERS, _ALARM, _GREY = "#3b7fc4", "#d9822b", "#d1392b", "#8a94a3"
THEME: Specification = {
    # The page's own ink, in its light and its dark colours.
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridColor": "currentColor",
        "domainOpacity": 0.4,
        "tickOpacity": 0.4,
        "gridOpacity": 0.12,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
    },
    "axisX": {"labelFlush": 15},  # pixels from the edge, where half a label has no room
}
"""Vega-Lite's `config`, of all charts."""
KEYS = {
    "shrinkage": {
        "published, 90% interval": _OURS,
        "own data alone": _OTHERS,
        "category, 90% interval": _GREY,
    },
    "demand": {"expected, 90% interval": _OURS, "counts in full": _GREY, "counts less": _ALARM},
    "drift": {"within chance": _OURS, "drifts": _ALARM, "category": _GREY},
    "gains": {"gains": _OURS, "unsure": _GREY, "loses": _ALARM},
}
"""What the colours of a kind of chart mean; the page shows it above the chart, where it can wrap."""


@cache
def specification(kind: str) -> Specification:
    """Give the specification of a kind of chart."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    chart = alt.layer(*LAYERS[kind]()).properties(width="container", autosize=fit)
    with alt.data_transformers.enable(consolidate_datasets=False):  # the page's data sets are the only ones
        return {**chart.to_dict(validate=False), "config": THEME}


def _elasticities() -> list[alt.Chart]:
    rows = alt.Chart(alt.NamedData("rows")).encode(y=_named_rows())
    tooltip = ["name:N", *(alt.Tooltip(f"{field}:Q", format=".2f") for field in ("mean", "low", "high"))]
    return [
        _line_at(-1.0),
        rows.mark_rule(strokeWidth=3, opacity=0.45, color=_OURS).encode(x=_elasticity("low"), x2="high"),
        rows.mark_point(filled=True, size=45, opacity=1, color=_OURS).encode(
            x=_elasticity("mean"), tooltip=tooltip
        ),
    ]


def _shrinkage() -> list[alt.Chart]:
    names = list(KEYS["shrinkage"])
    colour = _colour("what", "shrinkage")
    published, own, category = (
        alt.Chart(alt.NamedData(data)).transform_calculate(what=f"'{name}'").encode(color=colour)
        for data, name in zip(("rows", "rows", "category"), names, strict=True)
    )
    published, own = (layer.encode(y=_named_rows()) for layer in (published, own))
    own = own.transform_filter("datum.own !== null")
    edge = alt.Scale(domain=["within", "below", "above"], range=["circle", "triangle-left", "triangle-right"])
    tooltip = [
        "name:N",
        *(alt.Tooltip(f"{field}:Q", format=".2f") for field in ("own", "mean", "low", "high")),
    ]
    return [
        category.mark_rect(opacity=0.18).encode(x=_elasticity("low"), x2="high"),
        category.mark_rule().encode(x=_elasticity("mean")),
        _line_at(-1.0),
        published.mark_rule(strokeWidth=3, opacity=0.45).encode(x=_elasticity("low"), x2="high"),
        own.mark_rule().encode(x=_elasticity("own"), x2="mean"),
        own.mark_point(size=45, opacity=1).encode(
            x=_elasticity("own"), shape=alt.Shape("side:N", scale=edge, legend=None), tooltip=tooltip
        ),
        published.mark_point(filled=True, size=45, opacity=1).encode(x=_elasticity("mean"), tooltip=tooltip),
    ]


def _demand() -> list[alt.Chart]:
    price = alt.X("price:Q", title="price", scale=alt.Scale(zero=False, nice=False, padding=8))
    curve = alt.Chart(alt.NamedData("curve")).encode(x=price)
    periods = alt.Chart(alt.NamedData("periods")).encode(x=price)
    # A cross that counts less, a triangle beyond the edge.
    shape = (
        alt.when(alt.datum.side == "above")
        .then(alt.value("triangle-up"))
        .when(alt.datum.weight == "counts less")
        .then(alt.value("cross"))
        .otherwise(alt.value("circle"))
    )
    units = alt.Y("units:Q", title="units a period", scale=alt.Scale(zero=True))
    return [
        curve.mark_area(opacity=0.2, color=_OURS).encode(y=alt.Y("low:Q", title="units a period"), y2="high"),
        curve.mark_line(color=_OURS).encode(y=units),
        periods.mark_point(filled=True, size=25, opacity=0.75).encode(
            y=units,
            color=_colour("weight", "demand"),
            shape=shape,
            tooltip=["price:Q", "units:Q", "weight:N"],
        ),
    ]


def _drift() -> list[alt.Chart]:
    rows = alt.Chart(alt.NamedData("rows")).encode(
        y=_named_rows(),
        color=_colour("sort", "drift"),
    )
    title = "second half less first"
    tooltip = ["name:N", *(alt.Tooltip(f"{field}:Q", format=".2f") for field in ("drift", "low", "high"))]
    return [
        _line_at(0.0),
        rows.mark_rule(strokeWidth=3, opacity=0.45).encode(x=alt.X("low:Q", title=title), x2="high"),
        rows.mark_point(filled=True, size=45, opacity=1).encode(
            x=alt.X("drift:Q", title=title), tooltip=tooltip
        ),
    ]


def _pit() -> list[alt.Chart]:
    bars, chance = (alt.Chart(alt.NamedData(name)) for name in ("bars", "chance"))
    count = "product-periods"
    return [
        chance.mark_rect(opacity=0.25, color=_GREY).encode(y=alt.Y("low:Q", title=count), y2="high"),
        bars.mark_rect(opacity=0.7, color=_OURS, stroke="white", strokeWidth=0.5).encode(
            x=alt.X("start:Q", title="probability integral transform", scale=alt.Scale(domain=[0, 1])),
            x2="end",
            y=alt.Y("count:Q", title=count, scale=alt.Scale(zero=True)),
            y2=alt.datum(0),
            tooltip=["start:Q", "end:Q", "count:Q"],
        ),
        chance.mark_rule(color=_GREY).encode(y=alt.Y("expected:Q", title=count)),
    ]


def _coverage() -> list[alt.Chart]:
    products = alt.Chart(alt.NamedData("products")).encode(
        x=alt.X(
            "rank:Q",
            title="product, by coverage",
            scale=alt.Scale(zero=False, nice=False, padding=8),
            axis=alt.Axis(format="d", tickMinStep=1, grid=False),
        )
    )
    title = "coverage of 90% intervals"
    percent = alt.Axis(format="%")
    return [
        products.mark_area(opacity=0.25, color=_GREY, interpolate="step").encode(
            y=alt.Y("low:Q", title=title, axis=percent, scale=alt.Scale(zero=False)), y2="high"
        ),
        _line_at(0.9, "y"),
        products.mark_point(filled=True, size=30, opacity=1, color=_OURS).encode(
            y=alt.Y("coverage:Q", title=title), tooltip=[alt.Tooltip("coverage:Q", format=".1%")]
        ),
    ]


def _elbo_trace() -> list[alt.Chart]:
    iterations = alt.Chart(alt.NamedData("iterations")).encode(
        x=alt.X(
            "iteration:Q",
            scale=alt.Scale(zero=False, nice=False, padding=8),
            axis=alt.Axis(format="d", tickMinStep=1, grid=False),
        ),
        # Linear up to a nat, logarithmic beyond.
        y=alt.Y("below:Q", title="nats below the last", scale=alt.Scale(type="symlog", constant=1)),
        tooltip=["iteration:Q", "below:Q"],
    )
    line = iterations.mark_line(color=_OURS, strokeWidth=1.5)
    return [line, iterations.mark_point(filled=True, size=25, opacity=1, color=_OURS)]


def _prices() -> list[alt.Chart]:
    periods = alt.Chart(alt.NamedData("periods")).encode(
        x=_time("period"),
        y=alt.Y("price:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(format=",~g")),
        tooltip=["period:T", "price:Q"],
    )
    return [periods.mark_line(color=_OURS, interpolate="step-after", strokeWidth=1.5)]


def _units() -> list[alt.Chart]:
    periods = alt.Chart(alt.NamedData("periods")).encode(
        x=_time("period"), y=alt.Y("units:Q", title=None), tooltip=["period:T", "units:Q"]
    )
    return [periods.mark_area(color=_GREY, opacity=0.5, interpolate="step-after")]


def _refits() -> list[alt.Chart]:
    rows = alt.Chart(alt.NamedData("rows")).encode(x=_time("refit"))
    tooltip = ["refit:T", *(alt.Tooltip(f"{field}:Q", format=".2f") for field in ("mean", "low", "high"))]
    y = alt.Y("low:Q", title=None, scale=alt.Scale(zero=False))
    return [
        rows.mark_rule(strokeWidth=3, opacity=0.45, color=_OURS).encode(y=y, y2="high"),
        rows.mark_line(color=_OURS, strokeWidth=1).encode(y=alt.Y("mean:Q", title=None)),
        rows.mark_point(filled=True, size=45, opacity=1, color=_OURS).encode(
            y=alt.Y("mean:Q", title=None), tooltip=tooltip
        ),
    ]


def _gains() -> list[alt.Chart]:
    rows = alt.Chart(alt.NamedData("rows")).encode(y=_named_rows(), color=_colour("sort", "gains"))
    tooltip = ["name:N", *(alt.Tooltip(f"{field}:Q", format=",.2f") for field in ("mean", "low", "high"))]
    return [
        _line_at(0.0),
        rows.mark_rule(strokeWidth=3, opacity=0.45).encode(x=alt.X("low:Q", title=None), x2="high"),
        rows.mark_point(filled=True, size=45, opacity=1).encode(
            x=alt.X("mean:Q", title=None), tooltip=tooltip
        ),
    ]


def _price_moves() -> list[alt.Chart]:
    change = alt.X(
        "change:Q",
        title="change of the price",
        axis=alt.Axis(format="+.0%"),
        scale=alt.Scale(zero=False, nice=False),
    )
    curve = alt.Chart(alt.NamedData("curve")).encode(x=change)
    chosen = alt.Chart(alt.NamedData("chosen")).encode(x=change)
    tooltip = [
        alt.Tooltip("change:Q", format="+.1%"),
        *(alt.Tooltip(f"{field}:Q", format=",.2f") for field in ("mean", "low", "high")),
    ]
    return [
        curve.mark_area(opacity=0.2, color=_OURS).encode(y=alt.Y("low:Q", title=None), y2="high"),
        _line_at(0.0, "y"),
        curve.mark_line(color=_OURS).encode(y=alt.Y("mean:Q", title=None), tooltip=tooltip),
        chosen.mark_rule(color=_OTHERS, strokeWidth=2),
    ]


def _time(field: str) -> alt.X:
    return alt.X(f"{field}:T", title=None, axis=alt.Axis(grid=False, labelOverlap="greedy", tickCount=6))


def _named_rows() -> alt.Y:
    """Give each name a row, in the data's order; where there is little room a name ends in dots."""
    room = alt.ExprRef("0.42 * (containerSize()[0] || width)")
    axis = alt.Axis(title=None, grid=False, ticks=False, domain=False, labelLimit=room, labelPadding=6)
    return alt.Y("name:N", sort=None, axis=axis)


def _colour(field: str, kind: str) -> alt.Color:
    key = KEYS[kind]
    scale = alt.Scale(domain=list(key), range=list(key.values()))
    return alt.Color(f"{field}:N", scale=scale, legend=None)


def _elasticity(field: str) -> alt.X:
    return alt.X(f"{field}:Q", title="elasticity", scale=alt.Scale(zero=False))


def _line_at(value: float, channel: str = "x") -> alt.Chart:
    """Draw a dotted line across the chart."""
    one_row = alt.Chart(alt.InlineData(values=[{}]))
    return one_row.mark_rule(strokeDash=[2, 3], color=_GREY).encode(**{channel: alt.datum(value)})


LAYERS: dict[str, Callable[[], list[alt.Chart]]] = {
    "elasticities": _elasticities,
    "shrinkage": _shrinkage,
    "demand": _demand,
    "drift": _drift,
    "pit": _pit,
    "coverage": _coverage,
    "elbo_trace": _elbo_trace,
    "prices": _prices,
    "units": _units,
    "refits": _refits,
    "gains": _gains,
    "price_moves": _price_moves,
}
"""What a kind of chart is drawn of, by its name."""
