"""What Streamlit runs for each visitor, at each click: the three views, and the way between them."""

from functools import cache, partial
from pathlib import Path

import streamlit as st

from elasticity_assets.app import drawing, prices_view, product_view, recommendations, what_if_view
from elasticity_assets.app.published_file import NothingPublishedError, PublishedFile, Stamp
from elasticity_assets.settings import Settings, load_settings, settings_file
from elasticity_assets.warehouse.damage import DamagedFileError

VIEWS = {
    "prices": ("Prices to change", prices_view.show),
    "product": ("Product", product_view.show),
    "what_if": ("What if", what_if_view.show),
}
_SECONDS = 10  # between two looks at whether a refit has published a new file


@cache
def _published(settings: Path) -> tuple[Settings, PublishedFile]:
    """Give settings and published file, the same for all visitors."""
    loaded = load_settings(settings)
    return loaded, PublishedFile(loaded.published)


def main() -> None:
    """Show the view that was asked for."""
    st.set_page_config(page_title="Prices", layout="wide")
    drawing.style()
    settings, file = _published(settings_file())
    views = {
        name: st.Page(partial(show, file, settings), title=title, url_path=name, default=name == "prices")
        for name, (title, show) in VIEWS.items()
    }
    st.session_state["views"] = views
    view = st.navigation(list(views.values()), position="top")
    _watch(file, _stamp(file))
    try:
        view.run()
        _of_refit(file)
    except (NothingPublishedError, DamagedFileError) as error:
        drawing.paragraph(error, "warn")


def _of_refit(file: PublishedFile) -> None:
    """Say which refit is shown."""
    with file.reading() as connection:
        refit_id, began, products = recommendations.refit_shown(connection)
    drawing.paragraph(f"Refit {refit_id} of {began:%Y-%m-%d %H:%M} UTC, {products:,} products.", "quiet")


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
