"""Accepted and rejected recommendations, and the files that they are downloaded as."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO

import duckdb
import pandas as pd
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from elasticity_assets.warehouse.sql import statement

MOST = 100_000
"""Recommendations that are accepted or rejected at once: a workbook holds ten times as many."""

Key = tuple[str, str, str | None, float]
"""Category, product, zone (None for all) and recommended price: another price is another recommendation."""
_KEY = ["category", "product", "zone", "price_recommended"]


def keys_of(rows: pd.DataFrame) -> list[Key]:
    """Give the keys of rows of recommended_prices."""
    plain = rows[_KEY].astype({"zone": object})
    return list(plain.where(plain.notna(), None).itertuples(index=False, name=None))


@dataclass
class Decisions:
    """What one visitor has decided, for as long as the page is open.

    Attributes
    ----------
    made : dict of Key to str
        'accepted' or 'rejected'.
    """

    made: dict[Key, str] = field(default_factory=dict)

    def decide(self, keys: Iterable[Key], decision: str) -> None:
        """Accept or reject, or take decisions back where the decision is empty."""
        for key in keys:
            if decision:
                self.made[key] = decision
            else:
                self.made.pop(key, None)

    def of(self, rows: pd.DataFrame) -> list[str]:
        """Give the decision of each row of recommended_prices, empty where there is none."""
        return [self.made.get(key, "") for key in keys_of(rows)]

    def count(self, decision: str) -> int:
        """Count the accepted or rejected ones."""
        return sum(made == decision for made in self.made.values())


def drop_changed(connection: duckdb.DuckDBPyConnection, decisions: Decisions) -> None:
    """Drop the decisions on recommendations that a refit has changed since.

    Parameters
    ----------
    connection : duckdb connection
        To the published file.
    decisions : Decisions
    """
    rows = decided(connection, decisions)
    decisions.made = dict(zip(keys_of(rows), rows["decision"], strict=True))


def decided(connection: duckdb.DuckDBPyConnection, decisions: Decisions) -> pd.DataFrame:
    """Read the recommendations decided on, with the decision first; those that a refit has changed since are left out.

    Parameters
    ----------
    connection : duckdb connection
        To the published file.
    decisions : Decisions
    """
    made = dict(decisions.made)  # further ones may be made while a file is written
    category, product, zone, price = zip(*made, strict=True) if made else ((), (), (), ())
    parameters = {
        "categories": list(category),
        "products": list(product),
        "zones": list(zone),
        "prices": list(price),
        "decisions": list(made.values()),
    }
    return connection.execute(statement("decided_recommendations"), parameters).df()


def csv(rows: pd.DataFrame) -> bytes:
    """Write rows as CSV, texts as they are; with the mark of UTF-8 that Excel wants."""
    return rows.to_csv(index=False).encode("utf-8-sig")


def xlsx(rows: pd.DataFrame) -> bytes:
    """Write rows as an Excel workbook, where a text is a text, also one that looks like a formula.

    Characters that no workbook can hold become a replacement character.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet("prices")
    sheet.freeze_panes = "A2"

    def text(value: str) -> WriteOnlyCell:
        cell = WriteOnlyCell(sheet)
        cell.value = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", value)
        cell.data_type = "s"
        return cell

    sheet.append([text(name) for name in rows.columns])
    for row in rows.itertuples(index=False):
        sheet.append(
            [text(value) if isinstance(value, str) else None if pd.isna(value) else value for value in row]
        )
    file = BytesIO()
    book.save(file)
    return file.getvalue()
