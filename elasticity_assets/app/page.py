"""What Streamlit runs for each visitor, at each click: the four views, and the way between them."""

from functools import partial

import streamlit as st

from elasticity_assets.app import (
    drawing,
    prices_view,
    product_view,
    recommendations,
    tests_view,
    what_if_view,
)
from elasticity_assets.app.published_file import (
    NothingPublishedError,
    PublishedFile,
    Stamp,
    published_by,
)
from elasticity_assets.app.unreadable import unreadable_told
from elasticity_assets.settings import settings_file

VIEWS = {
    "prices": ("Prices to change", prices_view.show),
    "product": ("Product", product_view.show),
    "what_if": ("What if", what_if_view.show),
    "tests": ("Prices to test", tests_view.show),
}
_SECONDS = 10  # between two looks at whether a refit has published a new file


def main() -> None:
    """Show the view that was asked for."""
    st.set_page_config(page_title="Prices", layout="wide")
    drawing.style()
    # This script runs anew at each click: what is to last lies in modules that it imports.
    settings, file = published_by(settings_file())
    views = {
        name: st.Page(partial(show, file, settings), title=title, url_path=name, default=name == "prices")
        for name, (title, show) in VIEWS.items()
    }
    st.session_state["views"] = views
    view = st.navigation(list(views.values()), position="top")
    _watch(file, _stamp(file))
    with unreadable_told(file):
        refit = _refit(file)
        view.run()
        drawing.paragraph(refit, "quiet")


def _refit(file: PublishedFile) -> str:
    """Say which refit is shown."""
    with file.reading() as connection:
        refit_id, began, products = recommendations.refit_shown(connection)
    return f"Refit {refit_id} of {began:%Y-%m-%d %H:%M} UTC, {products:,} products."


def _stamp(file: PublishedFile) -> Stamp | None:
    try:
        return file.stamp()
    except NothingPublishedError:
        return None


@st.fragment(run_every=_SECONDS)
def _watch(file: PublishedFile, shown: Stamp | None) -> None:
    """Run the page again once another file is there than the one it was made from."""
    if _stamp(file) != shown:
        st.rerun()


if __name__ == "__main__":
    main()
