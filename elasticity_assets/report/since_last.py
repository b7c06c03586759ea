"""What changed since the refit before: the sales, and the elasticities that moved further than their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from elasticity_assets.report.numbers import counted, elasticity_text, number
from elasticity_assets.report.published_rows import records, text

MOST_MOVES = 10
"""Products named that moved, came or went."""
_NINETY = 1.645  # sds to either side of a 90% interval
_FACTS = {
    "n_files": "sales files",
    "rows_used": "rows used",
    "rows_rejected": "rows rejected",
    "n_categories": "categories",
    "n_products": "products",
}


@dataclass(frozen=True)
class Move:
    """A product whose elasticity left its interval, as text."""

    product: str
    description: str
    category: str
    before: str
    now: str
    change: str


@dataclass(frozen=True)
class SinceLast:
    """What changed since the refit before.

    Attributes
    ----------
    began : str
        When that refit began.
    summary : str
        How many elasticities moved.
    facts : mapping of str to (str, str, str)
        Numbers of the sales that changed: before, now, and the difference.
    moves : sequence of Move
        The furthest in standard deviations, at most MOST_MOVES.
    n_moved : int
    notes : sequence of str
        Products that came or went, categories whose fits failed or do so no more.
    """

    began: str
    summary: str
    facts: Mapping[str, tuple[str, str, str]]
    moves: Sequence[Move]
    n_moved: int
    notes: Sequence[str]


def since_last(
    last: Mapping[str, Any], refit: Mapping[str, Any], before: pd.DataFrame, products: pd.DataFrame
) -> SinceLast:
    """Compare a refit with the one before it.

    Parameters
    ----------
    last, refit : mapping
        Rows of refits.
    before : DataFrame
        Rows of elasticity_history of the last refit.
    products : DataFrame
        Rows of product_elasticity of this one.
    """
    both = compared(before, products)
    moved = both[both["moved"]].sort_values("sds", ascending=False, kind="stable")
    n_estimated = int(both["estimated"].sum())
    facts = {
        name: (f"{old:,}", f"{new:,}", f"{new - old:+,}".replace("-", "−"))
        for column, name in _FACTS.items()
        if (old := int(last[column])) != (new := int(refit[column]))
    }
    return SinceLast(
        f"{last['refitted_at']:%Y-%m-%d %H:%M}",
        f"{len(moved):,} of {counted(n_estimated, 'elasticity', 'elasticities')} that both refits estimated left "
        "the 90% interval that they had.",
        facts,
        [_move(row) for row in records(moved.head(MOST_MOVES))],
        len(moved),
        [*_came_and_went(before, products), *_failed(set(last["failed"]), set(refit["failed"]))],
    )


def compared(before: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    """Put each product's elasticities of two refits side by side.

    Returns
    -------
    DataFrame
        Of the products in both: the columns of `products`; the same with `_before` of the last refit's elasticity and
        the ends of its interval; `estimated`, whether both are; `sds`, by how many standard deviations it moved, those
        of both refits combined; `moved`, whether it is outside its former interval.
    """
    both = products.merge(before, on=["category", "product"], suffixes=("", "_before"))
    half_width = _NINETY * both["elasticity_sd_before"]
    middle = both["elasticity_before"]
    for end, sign in (("q05", -1), ("q95", 1)):  # an earlier version wrote none
        column = f"elasticity_{end}_before"
        both[column] = both[column].astype(float).fillna(middle + sign * half_width)
    both["estimated"] = both["estimated"].astype(bool) & both["estimated_before"].astype(bool)
    combined = np.hypot(both["elasticity_sd"], both["elasticity_sd_before"])
    both["sds"] = (both["elasticity"] - middle).abs() / combined
    inside = both["elasticity"].between(both["elasticity_q05_before"], both["elasticity_q95_before"])
    both["moved"] = both["estimated"] & ~inside
    return both


def _move(row: Mapping[str, Any]) -> Move:
    former = {name: row[f"{name}_before"] for name in ("elasticity", "elasticity_q05", "elasticity_q95")}
    change = number(row["elasticity"] - row["elasticity_before"])
    return Move(
        str(row["product"]),
        text(row["product_description"]),
        str(row["category"]),
        elasticity_text(former),
        elasticity_text(row),
        change if change.startswith("−") else f"+{change}",
    )


def _came_and_went(before: pd.DataFrame, products: pd.DataFrame) -> list[str]:
    notes = []
    keys = [pd.MultiIndex.from_frame(rows[["category", "product"]]) for rows in (before, products)]
    was, now = keys
    for found, what in ((now.difference(was), "new"), (was.difference(now), "no longer there")):
        if len(found):
            notes.append(f"{counted(len(found), 'product', 'products')} {what}: {_named(list(found))}.")
    gone = sorted({*before["category"]} - {*products["category"]})
    if gone:
        notes.append(f"Categories no longer there: {', '.join(gone[:MOST_MOVES])}{_more(len(gone))}.")
    return notes


def _named(keys: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{product} ({category})" for category, product in keys[:MOST_MOVES])
    return shown + _more(len(keys))


def _more(count: int) -> str:
    return f" and {count - MOST_MOVES:,} more" if count > MOST_MOVES else ""


def _failed(before: set[str], now: set[str]) -> list[str]:
    notes = []
    if mended := sorted(before - now):
        notes.append(f"Refitted again after a failure: {', '.join(mended)}.")
    if failed := sorted(now - before):
        notes.append(f"Failed this time, and not the time before: {', '.join(failed)}.")
    return notes
