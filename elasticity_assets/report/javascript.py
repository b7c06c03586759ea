"""The JavaScript that draws the charts: Vega, Vega-Lite and Vega-Embed in one piece, which the page holds."""

import re
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from elasticity_assets.report.files import write

_SNIPPET = "window.vegaEmbed = vegaEmbed;"
# Neither may stand inside a script element; within a string of JavaScript the backslash changes nothing.
_ENDS_SCRIPT, _ESCAPED = r"<(/script|!--)", r"<\\\1"


def vega(folder: Path) -> str:
    """Give the inside of a script element that defines `window.vegaEmbed`.

    Parameters
    ----------
    folder : Path
        Where it is kept between processes, as report-vega-VERSION-HASH.js: to put it together takes a second.
    """
    made_by = sha256("\n".join((_SNIPPET, _ENDS_SCRIPT, _ESCAPED)).encode()).hexdigest()[:8]
    file = folder / f"report-vega-{version('vl-convert-python')}-{made_by}.js"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write(_bundle(), file, 0o644)
        for old in folder.glob("report-vega-*.js"):
            if old != file:
                old.unlink(missing_ok=True)
    return file.read_text(encoding="utf-8")


@cache
def _bundle() -> str:
    import vl_convert  # noqa: PLC0415 -- large, and only needed here

    return re.sub(_ENDS_SCRIPT, _ESCAPED, vl_convert.javascript_bundle(_SNIPPET), flags=re.IGNORECASE)
