"""The JavaScript that draws the charts: Vega, Vega-Lite and Vega-Embed in one piece, which the page holds."""

import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

from elasticity_assets.report.files import write


def vega(folder: Path) -> str:
    """Give the inside of a script element that defines `window.vegaEmbed`.

    Parameters
    ----------
    folder : Path
        Where it is kept between processes: to put it together takes a second.
    """
    file = folder / f"vega-{version('vl-convert-python')}.js"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write(_bundle(), file)
    return file.read_text(encoding="utf-8")


@cache
def _bundle() -> str:
    import vl_convert  # noqa: PLC0415 -- large, and only needed here

    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # Neither may stand inside a script element; within a string of JavaScript the backslash changes nothing.
    return re.sub(r"<(/script|!--)", r"<\\\1", script, flags=re.IGNORECASE)
