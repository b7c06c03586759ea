"""The report's table of categories: each one's elasticity, and what speaks for and against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from elasticity_assets.inference.judging.limits import (
    DRIFT_SDS,
    agreement_within_limits,
    coverage_within_limits,
    lead_within_limits,
)
from elasticity_assets.inference.judging.scores import MODEL
from elasticity_assets.report.numbers import elasticity_text, number, percent
from elasticity_assets.report.published_rows import PublishedTables, records

NOT_ESTIMATED = "not estimated"
"""For the elasticity of a category in which no price ever changed, or nothing was sold."""


@dataclass(frozen=True)
class Cell:
    """A value of the table of categories, and whether it is a bad sign."""

    text: str
    bad: bool = False


def largest_categories(tables: PublishedTables, most: int) -> list[str]:
    """Name the categories with most revenue, at most so many, by name."""
    revenue = tables.products.groupby("category")["revenue"].sum()
    revenue = revenue.reindex(tables.categories["category"], fill_value=0.0)
    return sorted(revenue.sort_values(ascending=False, kind="stable").index[:most])


def category_cells(tables: PublishedTables) -> dict[str, dict[str, Cell]]:
    """Lay out the table of categories: by category, the cells by column's heading."""
    rows = tables.categories.merge(tables.diagnostics, on="category", suffixes=("", "_of_fit"))
    flagged = tables.products.groupby("category")["flag"].count()
    failed = set(tables.refit["failed"])
    ours = tables.scores[(tables.scores["cells"] == "folds") & (tables.scores["model"] == MODEL)]
    judged = dict(zip(ours["category"], ours["n_cells"], strict=True))
    cells = {}
    for row in records(rows):
        name = str(row["category"])
        cells[name] = {
            "products": Cell(f"{row['n_products']:,}"),
            "elasticity": Cell(category_text(row), bad=not row["estimated"]),
            **_evidence_cells(row, judged.get(name, 1)),
            **_lead(tables.scores, name),
            "flagged products": Cell(f"{flagged.get(name, 0):,}"),
            "converged": Cell("yes" if row["converged"] else "no", bad=not row["converged"]),
            "fitted": Cell(
                f"{row['fitted_at']:%Y-%m-%d}" + ", since then failed" * (name in failed), name in failed
            ),
        }
    return cells


def category_text(row: Mapping[str, Any]) -> str:
    """Give a category's elasticity with its 90% interval, or that it is not estimated."""
    return elasticity_text(row) if row["estimated"] else NOT_ESTIMATED


def _evidence_cells(row: Mapping[str, Any], judged: int) -> dict[str, Cell]:
    """Cells of fit_diagnostics, of which so many product-periods were judged, marked where a check would fail."""
    coverage, agreement = row["heldout_coverage_90"], row["split_sample_agreement"]
    drift, drift_sd = row["drift"], row["drift_sd"]
    return {
        "coverage of 90% intervals": Cell(
            percent(coverage),
            bad=not coverage_within_limits(coverage, judged),
        ),
        "WAPE": Cell(percent(row["heldout_wape"])),
        "split samples agree": Cell(
            percent(agreement),
            bad=np.isfinite(agreement) and not agreement_within_limits(agreement, row["n_products"]),
        ),
        "drift": Cell(
            f"{number(drift)} ± {number(drift_sd)}" if np.isfinite(drift) else "–",
            bad=abs(drift) > DRIFT_SDS * drift_sd,
        ),
        "serial correlation": Cell(number(row["serial_correlation_factor"])),
    }


def _lead(scores: pd.DataFrame, category: str) -> dict[str, Cell]:
    """Lead in log score over the rival that predicts best, and which one that is."""
    rivals = scores[
        (scores["category"] == category) & (scores["cells"] == "folds") & (scores["model"] != MODEL)
    ]
    if rivals.empty:
        return {"lead over best rival": Cell("–"), "best rival": Cell("–")}
    best = max(records(rivals), key=lambda row: row["log_score"])
    lead, error = best["log_score_lead"], best["log_score_lead_se"]
    return {
        "lead over best rival": Cell(
            f"{number(lead, 3)} ± {number(error, 3)}", bad=not lead_within_limits(lead, error)
        ),
        "best rival": Cell(best["model"]),
    }
