"""What the report shows, as rows of the published file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.schema import Table, qualified
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.warehouse.tables import (
    CATEGORY_ELASTICITY,
    CAUSAL_EVIDENCE,
    CHECK_RESULTS,
    FIT_DIAGNOSTICS,
    GLOBAL_ELASTICITY,
    HELDOUT_SCORES,
    PRODUCT_ELASTICITY,
    REFITS,
)

MOST_TESTS = 5
"""Price tests that are shown."""
MOST_ZONES = 10
"""Products in zones that are shown."""


@dataclass(frozen=True)
class PublishedTables:
    """Rows of the published file.

    Attributes
    ----------
    refits : list of mapping
        Rows of refits, this file's last.
    everything : mapping
        The row of global_elasticity.
    categories, products, diagnostics, scores, recommended, check_results : DataFrame
        Rows of category_elasticity, product_elasticity, fit_diagnostics, heldout_scores, recommended_prices (without
        those of zones) and check_results.
    uniform : DataFrame
        Rows of uniform_pricing of categories.
    tests : DataFrame
        Rows of recommended_tests, some, with their products' descriptions, best first.
    zones : DataFrame
        Rows of zone_elasticity that differ most from their products, with `product_description` and the product's own
        elasticity and interval, `of_product` before their names.
    n_by_zone : int
        Rows of zone_elasticity.
    before : DataFrame
        Rows of elasticity_history of the refit before this one; none where this is the first.
    verdicts : mapping of str to str
        The verdict of causal_evidence by category.
    suspects : DataFrame
        Of suspect_sales which `product` of which `category` has `what`.
    """

    refits: list[dict[str, Any]]
    everything: Mapping[str, Any]
    categories: pd.DataFrame
    products: pd.DataFrame
    diagnostics: pd.DataFrame
    scores: pd.DataFrame
    recommended: pd.DataFrame
    uniform: pd.DataFrame
    tests: pd.DataFrame
    zones: pd.DataFrame
    n_by_zone: int
    check_results: pd.DataFrame
    before: pd.DataFrame
    verdicts: Mapping[str, str]
    suspects: pd.DataFrame

    @property
    def refit(self) -> Mapping[str, Any]:
        """The row of refits that is this file's."""
        return self.refits[-1]

    @property
    def last_refit(self) -> Mapping[str, Any] | None:
        """The refit before this one; None where this is the first."""
        return self.refits[-2] if self.refits[1:] else None

    @property
    def refit_ids(self) -> list[str]:
        """All refits so far, this one last."""
        return [str(refit["refit_id"]) for refit in self.refits]


def read_published(published: Path) -> PublishedTables:
    """Read the published file."""
    with connect(published, read_only=True) as connection:

        def rows(table: Table) -> pd.DataFrame:
            return connection.execute(statement("published_rows", table=qualified(table))).df()

        refits = records(rows(REFITS).sort_values("number"))
        last = str(refits[-2]["refit_id"]) if refits[1:] else ""
        return PublishedTables(
            refits,
            records(rows(GLOBAL_ELASTICITY))[0],
            categories=rows(CATEGORY_ELASTICITY),
            products=rows(PRODUCT_ELASTICITY),
            diagnostics=rows(FIT_DIAGNOSTICS),
            scores=rows(HELDOUT_SCORES),
            recommended=connection.execute(statement("prices_everywhere")).df(),
            uniform=connection.execute(statement("uniform_pricing_of_categories")).df(),
            tests=connection.execute(statement("first_tests"), {"most": MOST_TESTS}).df(),
            zones=connection.execute(statement("zones_that_differ"), {"most": MOST_ZONES}).df(),
            n_by_zone=connection.execute(statement("rows_by_zone")).fetchall()[0][0],
            check_results=rows(CHECK_RESULTS),
            before=connection.execute(statement("elasticities_of_refit"), {"refit_id": last}).df(),
            verdicts={str(row["category"]): text(row["verdict"]) for row in records(rows(CAUSAL_EVIDENCE))},
            suspects=connection.execute(statement("suspect_products")).df(),
        )


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Give each row as a dict."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def text(value: object) -> str:
    """Give nothing for NULL."""
    return value if isinstance(value, str) else ""
