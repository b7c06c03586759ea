"""The report's table of products: those whose price should change, those to be careful with, and the largest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from elasticity_assets.report.answer import Change, change_row, price_digits
from elasticity_assets.report.category_table import NOT_ESTIMATED
from elasticity_assets.report.numbers import amount, elasticity_text
from elasticity_assets.report.published_rows import records, text

MOST_ROWS = 1500
"""Products in the table; all others are in the published file only."""
_MOST_CHANGES = 2 / 3
"""Share of them that are changes, while there are others to be careful with."""


@dataclass(frozen=True)
class ProductRow:
    """One product's line, as text."""

    change: Change
    elasticity: str
    revenue: str


def product_rows(products: pd.DataFrame, most: int = MOST_ROWS) -> list[ProductRow]:
    """Lay out changes by gain, then flagged products, then all others, both by revenue; at most so many.

    Of more, changes beyond two thirds give way to flagged products, and all others to both.

    Parameters
    ----------
    products : DataFrame
        From `answer.recommendations`.
    most : int
    """
    changes = (products["action"] != "keep").to_numpy()
    flagged = products["flag"].map(text).ne("").to_numpy()
    place = np.arange(len(products))  # by gain, then by revenue
    first = changes & (np.cumsum(changes) <= np.ceil(most * _MOST_CHANGES))
    rank = np.select([first, flagged & ~changes, changes], [0, 1, 2], 3)
    chosen = np.lexsort((place, rank))[:most]
    order = np.lexsort((chosen, np.select([changes, flagged], [0, 1], 2)[chosen]))
    shown = products.iloc[chosen[order]]
    money = price_digits(products)
    estimated = products.groupby("category")["estimated"].any()
    return [
        ProductRow(
            change_row(row, money),
            product_elasticity_text(row, of_category=bool(estimated[row["category"]])),
            amount(row["revenue_per_period"], max(money, 2)),
        )
        for row in records(shown)
    ]


def product_elasticity_text(row: Mapping[str, Any], *, of_category: bool) -> str:
    """Say what a product's elasticity is, or whose.

    Parameters
    ----------
    row : mapping
        Of product_elasticity.
    of_category : bool
        Whether its category's is estimated.
    """
    if row["estimated"]:
        return elasticity_text(row)
    return f"the category's: {elasticity_text(row)}" if of_category else NOT_ESTIMATED
