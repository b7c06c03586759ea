"""The JavaScript that draws the charts: Vega, Vega-Lite and Vega-Embed in one piece, which the page holds."""

import re
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

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
    script = _kept(file)
    if script is None:
        script = _bundle()
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        # Who reads half of it sees that by its hash.
        file.write_text(f"// {_hash(script)}\n{script}", encoding="utf-8")
        for old in folder.glob("report-vega-*.js"):
            if old != file:
                old.unlink(missing_ok=True)
    return script


def _kept(file: Path) -> str | None:
    """Read what is kept, whose first line has the hash of the rest; None where nothing is, or it is damaged."""
    try:
        first, _, script = file.read_text(encoding="utf-8").partition("\n")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return script if first == f"// {_hash(script)}" else None


def _hash(script: str) -> str:
    return sha256(script.encode()).hexdigest()


@cache
def _bundle() -> str:
    import vl_convert  # noqa: PLC0415 -- large, and only needed here

    return re.sub(_ENDS_SCRIPT, _ESCAPED, vl_convert.javascript_bundle(_SNIPPET), flags=re.IGNORECASE)
