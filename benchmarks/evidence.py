"""Do the intervals hold: on the sample, where weeks without a sale are dropped, and where weeks are spoilt.

    python benchmarks/evidence.py --part sample [data/elasticity.duckdb]
    python benchmarks/evidence.py --part truncated
    python benchmarks/evidence.py --part absurd
    python benchmarks/evidence.py --part retail online_retail.parquet

`sample` reads a published file. `truncated`: one unit a week, zero weeks dropped. `absurd` spoils weeks of
the sample, one product after the other. `retail` fits the invoice lines of UCI's Online Retail, median line price a
product-week, with and without truncation. Demand that the simplest model does not know: `truth.py`.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from elasticity_assets.inference import engines
from elasticity_assets.inference.options import FitOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import CategoryPosterior, Summary, summarize
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.simulate import Simulation, simulated_panels

OPTIONS = FitOptions(robust=True, serial_correlation=True)
SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "complete_journey_8_categories.csv"


def products(posterior: CategoryPosterior) -> Summary:
    return summarize(posterior.weight, posterior.product_mean, posterior.product_var)


def covered(posterior: CategoryPosterior, truth: np.ndarray) -> np.ndarray:
    """Which products' 90% intervals hold the true elasticity."""
    summary = products(posterior)
    return (summary.q05 < truth) & (truth < summary.q95)


def sample(published: Path) -> None:
    """Evidence beside the published numbers."""
    with duckdb.connect(str(published), read_only=True) as connection:
        fits = connection.table("fit_diagnostics").df().set_index("category")
        scores = connection.table("heldout_scores").df()
    scores = scores[scores["cells"] == "folds"]
    rivals = scores[scores["model"] != "this model"]
    worst = (rivals["log_score_lead"] / rivals["log_score_lead_se"]).groupby(rivals["category"]).min()
    best = rivals.groupby("category")["wape"].min()
    table = fits[
        [
            "heldout_coverage_90",
            "heldout_coverage_90_low_volume",
            "heldout_coverage_90_mid_volume",
            "heldout_coverage_90_high_volume",
            "heldout_coverage_spread",
            "split_sample_agreement",
            "serial_correlation_factor",
            "forecast_coverage_90",
        ]
    ].assign(worst_lead_in_ses=worst, wape_over_best=fits["heldout_wape"] / best)
    print(table.round(3).to_string())
    print("all categories, by product-periods or products:")
    overall = {
        "heldout_coverage_90": np.average(fits["heldout_coverage_90"], weights=fits["n_obs"]),
        "heldout_coverage_spread": float(
            np.sqrt(np.average(fits["heldout_coverage_spread"] ** 2, weights=fits["n_products"]))
        ),
        "split_sample_agreement": np.average(fits["split_sample_agreement"], weights=fits["n_products"]),
        "forecast_coverage_90": float(fits["forecast_coverage_90"].mean()),
    }
    print(json.dumps({name: round(float(value), 4) for name, value in overall.items()}))


def truncated(sets: int) -> None:
    """One unit a week, zero weeks dropped, true elasticity -2.5."""
    simulation = Simulation(
        products=200,
        weeks=104,
        categories=1,
        global_elasticity=-2.5,
        category_spread=1e-6,
        level_mean=-0.2,
        level_spread=0.5,
        drop_zeros=True,
    )
    for is_truncated in (True, False):
        means, hits = [], []
        for seed in range(sets):
            (panel,), truth = simulated_panels(simulation, seed)
            posterior = engines.fit(replace(panel, zero_truncated=is_truncated), DEFAULT, OPTIONS)
            means.append(posterior.weight @ posterior.category_mean)
            place = np.searchsorted(truth.product, panel.product)
            hits.append(covered(posterior, truth.elasticity[place]).mean())
        print(
            f"{'truncated' if is_truncated else 'not truncated'}: category's elasticity {np.mean(means):.3f} "
            f"(sd {np.std(means):.3f}, {np.mean(np.abs(np.array(means) + 2.5) < 0.2):.0%} within 0.2 of -2.5); "
            f"90% intervals hold {np.mean(hits):.1%} of the products' (sets from {min(hits):.1%} to {max(hits):.1%})"
        )


def spoilt(panel: Panel, product: int, how: str, rng: np.random.Generator) -> Panel:
    """Spoil weeks of one product."""
    weeks = np.flatnonzero(panel.observed[product])
    units = panel.units.copy()
    if how.startswith("one week"):
        week = rng.choice(weeks)
        units[product, week] = max(units[product, week], 1.0) * (50 if "50" in how else 10)
    elif how.startswith("best week"):
        units[product, weeks[np.argmax(units[product, weeks])]] = 0.0
    else:
        first = rng.integers(0, len(weeks) - 5)
        units[product, weeks[first : first + 5]] = 0.0
    return replace(panel, units=units)


def absurd() -> None:
    """Spoil weeks of one product after the other, and see how far its own elasticity moves."""
    rng = np.random.default_rng(0)
    kinds = {"robust": FitOptions(robust=True), "not robust": FitOptions()}
    panels = list(sample_panels())
    clean = [
        {kind: products(engines.fit(panel, DEFAULT, options)) for kind, options in kinds.items()}
        for panel in panels
    ]
    for how in (
        "one week times 50",
        "one week times 10",
        "best week sold nothing",
        "five weeks sold nothing",
    ):
        moves: dict[str, list[float]] = {kind: [] for kind in kinds}
        for panel, before in zip(panels, clean, strict=True):
            for product in range(0, panel.n_products, 2):
                bad = spoilt(panel, product, how, rng)
                for kind, options in kinds.items():
                    after = products(engines.fit(bad, DEFAULT, options))
                    distance = abs(after.mean[product] - before[kind].mean[product])
                    moves[kind].append(distance / before[kind].sd[product])
        parts = [
            f"{kind}: median {np.median(values):.2f}, 95% {np.quantile(values, 0.95):.2f}, "
            f"largest {max(values):.2f}, {np.mean(np.array(values) < 1.0):.0%} below 1"
            for kind, values in moves.items()
        ]
        print(f"{how}: moves in sds of {len(moves['robust'])} products; {'; '.join(parts)}", flush=True)


def sample_panels() -> Iterator[Panel]:
    """Lay out the sample's categories, absent product-weeks as not on offer, so that a stock-out can be put in."""
    sales = pd.read_csv(SAMPLE, dtype={"product": str})
    for category, rows in sales.groupby("category"):
        yield panel_from_sales(
            CategorySales(
                str(category),
                rows["product"].to_numpy(str),
                rows["week"].to_numpy("datetime64[D]"),
                rows["units"].to_numpy(),
                rows["price"].to_numpy(),
                {name: rows[name].to_numpy() for name in ("display", "mailer")},
            )
        )


def retail(file: Path) -> None:
    """UCI's Online Retail: the category's elasticity with and without truncation, plain and robust."""
    lines = duckdb.sql(
        """SELECT upper(trim(StockCode)) AS product, date_trunc('week', InvoiceDate)::DATE AS week,
                  sum(Quantity) AS units, median(UnitPrice) AS price
           FROM read_parquet($file)
           WHERE UnitPrice > 0 AND Quantity > 0 AND InvoiceNo NOT LIKE 'C%' AND regexp_matches(StockCode, '^[0-9]{5}')
           GROUP BY 1, 2 QUALIFY count(*) OVER (PARTITION BY product) >= 20""",
        params={"file": str(file)},
    ).df()
    for absent in ("unobserved", "truncated"):
        panel = panel_from_sales(
            CategorySales(
                "all",
                lines["product"].to_numpy(str),
                lines["week"].to_numpy("datetime64[D]"),
                lines["units"].to_numpy(),
                lines["price"].to_numpy(),
                missing_periods=absent,
            )
        )
        for name, options in (("plain", FitOptions()), ("robust, widened", OPTIONS)):
            fitted = engines.fit(panel, DEFAULT, options)
            mean = fitted.weight @ fitted.category_mean
            sd = np.sqrt(fitted.weight @ (fitted.category_var + (fitted.category_mean - mean) ** 2))
            print(
                f"{absent}, {name}: {panel.n_products} products, elasticity {mean:.2f} (sd {sd:.2f}), products spread "
                f"{fitted.product_spread():.2f}, {len(fitted.discounted)} product-weeks count less, "
                f"serial correlation {fitted.serial_correlation_factor:.2f}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=("sample", "truncated", "absurd", "retail"), required=True)
    parser.add_argument("--sets", type=int, default=8, help="data sets a case")
    parser.add_argument("file", nargs="?", type=Path, default=Path("data/elasticity.duckdb"))
    arguments = parser.parse_args()
    if arguments.part == "sample":
        sample(arguments.file)
    elif arguments.part == "retail":
        retail(arguments.file)
    elif arguments.part == "absurd":
        absurd()
    else:
        truncated(arguments.sets)


if __name__ == "__main__":
    main()
