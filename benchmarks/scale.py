"""What a refit costs: constants fitted to measured runs, a run predicted from smaller ones, and larger ones planned.

    python benchmarks/pipeline.py --products 2_400 --categories 120 --weeks 104 > runs.jsonl
    python benchmarks/pipeline.py --products 1_000 --categories 200 --weeks 104 >> runs.jsonl
    python benchmarks/pipeline.py --products 102_000 --categories 102 >> runs.jsonl
    python benchmarks/pipeline.py --products 1_000_000 >> runs.jsonl
    python benchmarks/scale.py runs.jsonl                # the last line is predicted from the others
    python benchmarks/scale.py runs.jsonl --products 10_000_000 --categories 10_000 --rows 1_560_000_000_000

A stage takes a fixed time, a time for each category (Dagster's events, files, compiled programs' calls) and for each
product-period (reading, passes over the data); held-out evaluation for each of its fits and each product in them.
The constants are not negative, and fitted to relative errors (Lawson and Hanson 1974, chapter 23).
Ends in one JSON line.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from elasticity_assets.inference.judging.heldout import Effort
from elasticity_assets.report.page import MOST_SECTIONS

OF_ROWS = "raw_sales", "weekly_sales"
SPREAD = "category_posterior", "heldout_evaluation", "split_samples", "promotion_elasticity"
"""Stages whose work Ray spreads over machines."""
FITS_A_FOLD = 4  # the model and three rivals
BETWEEN_STAGES = "between stages"


@dataclass(frozen=True)
class Size:
    """How large a refit is: products, categories, weeks, and rows of the files."""

    products: int
    categories: int
    weeks: int
    rows: int

    @property
    def cells(self) -> int:
        """Product-periods."""
        return self.products * self.weeks


def features(stage: str, size: Size) -> dict[str, float]:
    """Tell what a stage's time is made of, by name."""
    if stage in OF_ROWS:
        return {"fixed": 1.0, "row": size.rows}
    if stage == "published_elasticity":
        return {"fixed": 1.0, "product-period": size.cells}
    if stage == "report":
        return {"fixed": 1.0, "section": min(size.categories, MOST_SECTIONS), "category": size.categories}
    if stage == "heldout_evaluation":
        effort = Effort.for_each_of(size.categories)
        judged = min(effort.products(size.weeks), size.products / size.categories)
        fits = size.categories * FITS_A_FOLD * (effort.folds + 2)  # a forecast, and a fit of all cells
        return {"fixed": 1.0, "fit": fits, "product in a fit": fits * judged * size.weeks / 156}
    return {"fixed": 1.0, "category": size.categories, "product-period": size.cells}


def size_of(run: Mapping) -> Size:
    """Size of a run of `pipeline.py`."""
    cells = run["products"] * run["weeks"]
    return Size(run["products"], run["categories"], run["weeks"], cells)


def seconds_of(run: Mapping) -> dict[str, float]:
    """Seconds of each stage of a run, and of what lies between them: imports, and Dagster's plans of events."""
    stages = {name: stage["seconds"] for name, stage in run["stages"].items()}
    return {**stages, BETWEEN_STAGES: run["refit"]["seconds"] - sum(stages.values())}


def fitted(runs: list[dict]) -> dict[str, dict[str, float]]:
    """Constants of each stage, seconds a unit of each of its features."""
    constants = {}
    for stage in seconds_of(runs[0]):
        rows = [features(stage, size_of(run)) for run in runs]
        names = list(rows[0])
        seconds = np.array([max(seconds_of(run)[stage], 0.05) for run in runs])
        design = np.array([[row[name] for name in names] for row in rows]) / seconds[:, None]
        scale = np.where(design.max(axis=0) > 0, design.max(axis=0), 1.0)
        found, _ = nnls(design / scale, np.ones(len(runs)))
        constants[stage] = dict(zip(names, (found / scale).tolist(), strict=True))
    return constants


def predicted(constants: Mapping[str, Mapping[str, float]], size: Size) -> dict[str, float]:
    """Seconds of each stage."""
    return {
        stage: sum(constants[stage][name] * value for name, value in features(stage, size).items())
        for stage in constants
    }


def plan(constants: Mapping[str, Mapping[str, float]], size: Size, machines: tuple[int, ...]) -> dict:
    """Hours of a refit on so many machines like the measured one: what is spread, and what one process does."""
    seconds = predicted(constants, size)
    spread = sum(seconds[stage] for stage in SPREAD)
    alone = sum(seconds.values()) - spread
    return {
        "hours of one process": {stage: round(value / 3600, 3) for stage, value in seconds.items()},
        "hours by machines": {n: round((alone + spread / n) / 3600, 2) for n in machines},
    }


def main() -> None:
    """Parse the command line and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--products", type=int)
    parser.add_argument("--categories", type=int)
    parser.add_argument("--weeks", type=int, default=156)
    parser.add_argument("--rows", type=int, help="of the files; by default one a product-period")
    arguments = parser.parse_args()
    *runs, last = [json.loads(line) for line in arguments.runs.read_text().splitlines()]
    constants = fitted(runs)
    if arguments.products is None:
        measured, expected = seconds_of(last), predicted(constants, size_of(last))
        result = {
            "predicted": round(sum(expected.values()), 1),
            "measured": round(sum(measured.values()), 1),
            "ratio": round(sum(expected.values()) / sum(measured.values()), 3),
            "stages": {stage: [round(expected[stage], 1), round(measured[stage], 1)] for stage in measured},
        }
    else:
        products, categories = arguments.products, arguments.categories or max(arguments.products // 1_000, 1)
        rows = arguments.rows or products * arguments.weeks
        size = Size(products, categories, arguments.weeks, rows)
        result = plan(fitted([*runs, last]), size, (1, 10, 100, 1_000))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
