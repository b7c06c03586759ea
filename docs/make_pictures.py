"""Draw the pictures of docs/architecture.md: python docs/make_pictures.py.

Writes docs/images/layers.svg and docs/images/journey.svg. Needs Graphviz's program `dot`.
"""

import html
import re
from pathlib import Path

import graphviz

IMAGES = Path(__file__).parent / "images"

LAYERS = (
    (
        "what starts it",
        {
            "command": "the elasticity command",
            "component": "in your Dagster project",
            "definitions": "what Dagster loads",
        },
    ),
    (
        "what Dagster runs",
        {
            "assets": "one function call each",
            "checks": "is it right?",
            "automation": "jobs, schedules, sensors, partitions",
        },
    ),
    (
        "what it shows",
        {
            "app": "the page for pricing teams",
            "report": "the page of a refit",
            "published": "tables, and the analysts' file",
        },
    ),
    (
        "what it works on",
        {
            "pricing": "which prices to change",
            "fitting": "fits run, stored, spread",
            "ingestion": "files to weekly sales",
            "warehouse": "DuckDB or DuckLake, locks",
        },
    ),
    (
        "what all know",
        {
            "home": "DAGSTER_HOME",
            "settings": "YAML, validated",
            "holiday_control": "public holidays",
            "yaml_file": "mistakes by line",
            "processes": "still there or gone",
            "words": "errors in a line",
            "atomic_write": "whole files",
        },
    ),
    ("numbers only: jax, numpy, scipy", {"inference": "the model, its engines, and what a fit is worth"}),
)
"""From the top, a title a layer: its rooms, and what each has. Imports go down, or sideways to the right."""

JOURNEY = (
    ("a line of a file", "sales.csv", "914190, CHEESE, 2017-01-23, 23 units at 1.25"),
    ("raw_sales", "ingestion.take_in", "as delivered, with file and line; or a reason why not"),
    ("weekly_sales", "ingestion.weekly", "23 units, revenue 28.75, regular price 1.99"),
    ("model_input", "ingestion.category", "a cell of CHEESE: 23 units, log price 0.21 below its mean"),
    (
        "category_posterior",
        "inference.engines",
        "CHEESE alone: this product −1.71 ± 0.20, its category −1.08 ± 0.23",
    ),
    ("hierarchy", "inference.hierarchy", "with seven other categories: category −1.20, product −1.73"),
    ("product_elasticity", "published.rows", "−1.73, 90% between −2.06 and −1.41, shrinkage 0.11, no flag"),
    ("price_scenarios", "published.price_scenarios", "10% off: 20% more units (16% to 24%)"),
    ("published_elasticity", "published.publish", "checked, and moved into place: elasticity.duckdb"),
    ("report", "report.page", "latest.html"),
)
"""Each asset, the module that does its work, and what has become of one line of the sample there."""

FONT = "Helvetica,Arial,sans-serif"
LIGHT, DARK, GREY = "#eef3f8", "#1f3b57", "#5b6b7a"


def layers() -> str:
    """Return the rooms of the package, layer by layer, as DOT."""
    graph = graphviz.Digraph(node_attr={"shape": "plain", "fontname": FONT, "fontsize": "13"})
    graph.attr(bgcolor="white", ranksep="0.12", margin="0.1")
    for number, (title, rooms) in enumerate(LAYERS):
        width = 690 // len(rooms)
        cells = "".join(
            f'<TD WIDTH="{width}" HEIGHT="46" BGCOLOR="{LIGHT}"><FONT COLOR="{DARK}"><B>{name}</B></FONT><BR/>'
            f'<FONT COLOR="{GREY}" POINT-SIZE="11">{html.escape(what)}</FONT></TD>'
            for name, what in rooms.items()
        )
        label = (
            f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="5"><TR><TD WIDTH="180" ALIGN="RIGHT">'
            f'<FONT COLOR="{GREY}" POINT-SIZE="11">{title}  </FONT></TD>{cells}</TR></TABLE>'
        )
        graph.node(f"layer{number}", f"<{label}>")
        if number:
            graph.edge(f"layer{number - 1}", f"layer{number}", style="invis")
    return graph.source


def journey() -> str:
    """Return one line's way to a published elasticity, as DOT."""
    rows = "".join(
        f'<TR><TD BGCOLOR="{LIGHT}" WIDTH="190" HEIGHT="34"><FONT COLOR="{DARK}"><B>{asset}</B></FONT></TD>'
        f'<TD WIDTH="200" ALIGN="LEFT"><FONT COLOR="{GREY}" POINT-SIZE="11">  {module}</FONT></TD>'
        f'<TD ALIGN="LEFT">{html.escape(what)}</TD></TR>'
        + (f'<TR><TD><FONT COLOR="{GREY}">↓</FONT></TD></TR>' if number < len(JOURNEY) else "")
        for number, (asset, module, what) in enumerate(JOURNEY, 1)
    )
    graph = graphviz.Digraph(node_attr={"shape": "plain", "fontname": FONT, "fontsize": "13"})
    graph.attr(bgcolor="white", margin="0.1")
    graph.node("journey", f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2">{rows}</TABLE>>')
    return graph.source


def main() -> None:
    """Render both."""
    for name, source in (("layers", layers()), ("journey", journey())):
        svg = graphviz.Source(source).pipe(format="svg").decode()
        # The comments hold the renderer's version and date.
        svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
        (IMAGES / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
