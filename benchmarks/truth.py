"""Do intervals hold the true elasticity where demand departs from the simplest: one departure at a time.

    python benchmarks/truth.py --sets 6 [--seed 100] [--without season lags] [--departures base season_promoted]

Simulated categories of 40 products and 104 weeks, through the pipeline's own path from sales to posterior. Of each
departure: coverage of 90% intervals, bias (above 0 is too inelastic), root mean square error against the true
elasticity, and the same of that to price changes that last; passes over the data and seconds; `regression` beside them
is least squares of log units on log price with effects of products and weeks.
"""

import argparse
import time
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from elasticity_assets.inference import engines
from elasticity_assets.inference.category_price_index import with_category_price_index
from elasticity_assets.inference.departures import DEPARTURES, Market
from elasticity_assets.inference.options import FitOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import Summary
from elasticity_assets.inference.price_lags import with_price_lags
from elasticity_assets.inference.priors import DEFAULT, Season, SlowDemand
from elasticity_assets.inference.season import with_price_season
from elasticity_assets.inference.simulate import FIRST_PERIOD
from elasticity_assets.inference.substitute_prices import with_substitute_prices
from elasticity_assets.inference.summaries import long_run_summary, product_summary
from elasticity_assets.settings import FitSettings

OPTIONS = FitOptions(robust=True, serial_correlation=True)
PRODUCTS, WEEKS = 40, 104
LAGS = FitSettings().lags
FEW = {"drift_together": 8}
"""Products of a category where what is shown depends on there being few."""
ALL_TERMS = replace(DEFAULT, slow_demand=SlowDemand(), season=Season())
"""Priors of the whole model, as settings have them."""
PARTS = ("slow_demand", "season", "lags", "substitutes")


def sold(market: Market, without: Collection[str] = ()) -> Panel:
    """Draw the category's sales, and lay them out as the pipeline does, but for some of PARTS."""
    n, T = market.log_price.shape
    product, week = np.divmod(np.arange(n * T), T)
    sales = CategorySales(
        "simulated",
        np.char.add("p", np.char.zfill(product.astype(str), 3)),
        FIRST_PERIOD + 7 * week,
        market.units().ravel(),
        np.exp(market.log_price).ravel(),
    )
    lags = 0 if "lags" in without else LAGS
    panel = with_price_lags(with_category_price_index(panel_from_sales(sales), lags), lags)
    if "season" not in without:
        panel = with_price_season(panel, Season.least_days)
    return panel if "substitutes" in without else with_substitute_prices(panel, market.group)


def regression(panel: Panel) -> np.ndarray:
    """Each product's slope by least squares of log units on log price, products' and weeks' means taken out."""
    n, T = panel.n_products, panel.n_periods
    y, x = np.log(panel.units[:n, :T] + 0.5), panel.log_price[:n, :T].astype(float)
    y, x = (part - part.mean(0) - part.mean(1, keepdims=True) + part.mean() for part in (y.astype(float), x))
    return (x * y).sum(axis=1) / (x**2).sum(axis=1)


def measure(departure: str, seeds: range, without: Collection[str]) -> dict[str, float]:
    """Hold fits of several sets against the truth."""
    priors = replace(ALL_TERMS, **dict.fromkeys({"slow_demand", "season"}.intersection(without)))
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        market = DEPARTURES[departure](rng, FEW.get(departure, PRODUCTS), WEEKS)
        panel = sold(market, without)
        began = time.process_time()
        posterior = engines.fit(panel, priors, OPTIONS)
        cpu_seconds = time.process_time() - began
        rows.append(
            {
                **_errors("", product_summary(posterior), market.elasticity),
                **_errors("long_", long_run_summary(posterior), market.long_run),
                "regression_rmse2": np.mean((regression(panel) - market.elasticity) ** 2),
                "factor": posterior.serial_correlation_factor,
                "passes": posterior.diagnostics.iterations,
                "cpu_seconds": cpu_seconds,
                "converged": posterior.diagnostics.converged,
            }
        )
    mean = pd.DataFrame(rows).mean()
    return {
        name.removesuffix("2"): np.sqrt(value) if name.endswith("rmse2") else value
        for name, value in mean.items()
    }


def _errors(which: str, found: Summary, truth: np.ndarray) -> dict[str, float]:
    return {
        f"{which}covered": np.mean((found.q05 < truth) & (truth < found.q95)),
        f"{which}bias": np.mean(found.mean - truth),
        f"{which}rmse2": np.mean((found.mean - truth) ** 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=6, help="data sets a departure")
    parser.add_argument("--seed", type=int, default=100, help="of the first set")
    parser.add_argument("--without", nargs="+", choices=PARTS, default=[], help="parts of the model")
    parser.add_argument("--departures", nargs="+", choices=DEPARTURES, default=list(DEPARTURES))
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.sets)
    for number, departure in enumerate(arguments.departures):
        row = pd.DataFrame({departure: measure(departure, seeds, arguments.without)}).T
        print(row.round(2).to_string(header=number == 0, col_space=8), flush=True)


if __name__ == "__main__":
    main()
