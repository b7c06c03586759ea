"""Which column marks sales at prices drawn at random, for a test."""

from collections.abc import Mapping

import duckdb

from elasticity_assets.ingestion.delivered_column import DeliveredColumn
from elasticity_assets.ingestion.initial_settings.column_names import ideas, words
from elasticity_assets.ingestion.initial_settings.column_profiles import ColumnProfile
from elasticity_assets.ingestion.initial_settings.decision import Decision
from elasticity_assets.warehouse.sql import quoted, statement

_OTHER_MEANINGS = {"weight", "weights", "wt", "sample", "samples"}
"""Words beside random: what is sold by weight, and what was drawn from all rows."""
_MOST = 0.5


def find_randomized(profiles: Mapping[str, ColumnProfile]) -> Decision | None:
    """Take a column of yes and no whose name says random, and neither weight nor sample.

    Parameters
    ----------
    profiles : mapping of str to ColumnProfile
        Columns that are not taken yet.
    """
    for name, profile in profiles.items():
        if profile.is_flag and "random" in ideas(name) and not _OTHER_MEANINGS & set(words(name)):
            values = " or ".join(map(repr, profile.frequent[:2]))
            why = f"By its name it marks sales at prices drawn at random, for a test: {name!r} is {values}."
            return Decision("columns.randomized", name, why)
    return None


def marks_some_of_a_product(
    connection: duckdb.DuckDBPyConnection, randomized: ColumnProfile, product: ColumnProfile
) -> bool:
    """Whether most products with marked rows have others too: else it is the product that is marked, and no test.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        With the table `delivered`.
    randomized, product : ColumnProfile
    """
    marked, name = (
        DeliveredColumn(f"delivered.{quoted(profile.name)}", profile.kind)
        for profile in (randomized, product)
    )
    ask = statement("share_of_marked_that_vary", product=name.text, marked=marked.number_or_flag)
    share = connection.execute(ask).fetchall()[0][0]
    return share is not None and share >= _MOST
