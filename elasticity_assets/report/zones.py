"""Where products are more, or less, elastic than over all their zones, as rows of text."""

from dataclasses import dataclass

import pandas as pd

from elasticity_assets.report.numbers import elasticity_text, number
from elasticity_assets.report.published_rows import records, text


@dataclass(frozen=True)
class ZoneRow:
    """One product in one zone, as text."""

    product: str
    description: str
    category: str
    zone: str
    elasticity: str
    of_product: str
    why_careful: str


def zone_rows(zones: pd.DataFrame) -> list[ZoneRow]:
    """Lay out the products in zones that differ most from their products.

    Parameters
    ----------
    zones : DataFrame
        As of `PublishedTables`.
    """
    return [
        ZoneRow(
            str(row["product"]),
            text(row["product_description"]),
            str(row["category"]),
            str(row["zone"]),
            elasticity_text(row),
            f"{number(row['of_product'])} ({number(row['of_product_q05'])} to {number(row['of_product_q95'])})",
            text(row["flag"]),
        )
        for row in records(zones)
    ]
