"""Which column marks sales at prices drawn at random, for a test."""

from collections.abc import Mapping

from elasticity_assets.ingestion.initial_settings.column_names import ideas
from elasticity_assets.ingestion.initial_settings.column_profiles import ColumnProfile
from elasticity_assets.ingestion.initial_settings.decision import Decision


def find_randomized(profiles: Mapping[str, ColumnProfile]) -> Decision | None:
    """Take a column of yes and no whose name says random.

    Parameters
    ----------
    profiles : mapping of str to ColumnProfile
        Columns that are not taken yet.
    """
    for name, profile in profiles.items():
        if profile.is_flag and "random" in ideas(name):
            values = " or ".join(map(repr, profile.frequent[:2]))
            why = f"By its name it marks sales at prices drawn at random, for a test: {name!r} is {values}."
            return Decision("columns.randomized", name, why)
    return None
