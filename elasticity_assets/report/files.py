"""The reports' files: the last few refits' pages, and a copy of the newest."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from elasticity_assets.atomic_write import atomic_write

LATEST = "latest.html"
_REFIT_PAGE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.html")


def write_report(page: str, folder: Path, refit_ids: Sequence[str], keep: int, mode: int = 0o444) -> Path:
    """Write a refit's page and the copy of the newest, each beside its place and moved over it; drop old pages.

    Parameters
    ----------
    page : str
        HTML.
    folder : Path
    refit_ids : sequence of str
        All refits so far, by their runs' ids; the page is the last one's.
    keep : int
        How many refits' pages stay.
    mode : int
        Of the files.

    Returns
    -------
    Path
        The refit's page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{refit_ids[-1]}.html"
    for target in (file, folder / LATEST):
        write(page, target, mode)
    pages = [found for found in folder.glob("*.html") if _REFIT_PAGE.fullmatch(found.name)]
    numbers = {name: number for number, name in enumerate(refit_ids)}

    def order(found: Path) -> tuple[int, int]:  # those of no refit known are of an earlier warehouse
        return numbers.get(found.stem, -1), found.stat().st_mtime_ns

    for old in sorted(pages, key=order)[:-keep]:
        old.unlink(missing_ok=True)
    return file


def show_again(folder: Path, refit_id: str) -> bool:
    """Make a kept refit's page the newest one's copy; False where its page is not there."""
    file = folder / f"{refit_id}.html"
    if not file.exists():
        return False
    with atomic_write(folder / LATEST) as beside:
        shutil.copy(file, beside)
    return True


def write(text: str, target: Path, mode: int) -> None:
    """Write a file beside its place and move it over what is there."""
    with atomic_write(target) as beside:
        beside.write_text(text, encoding="utf-8")
        beside.chmod(mode)
