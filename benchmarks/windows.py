"""Do elasticities of neighbouring windows of a long series agree: with all terms of the model, and with the simplest.

    python benchmarks/windows.py sales.csv --weeks 90 [--controls display] [--without season]

The file has columns category, product, week, units and price, and those of the controls. Each window is fitted alone. A
product's true elasticity is not known, but what lasts of it shows in both windows: printed are the correlation of its
posterior means between neighbouring windows (`own_data`: of what its own data alone say, as means that are drawn to the
category's by much correlate by little), and how many products' differ by less than 1.645 sds of the difference.
Intervals of correlations are a bootstrap's, which draws products, with all their windows and for both models at once.

Public series that it was tried on: `tuna` and `orangeJuice` of R's package bayesm, weeks of stores in Chicago;
"Breakfast at the Frat" of dunnhumby; oatmeal of Dominick's Finer Foods (Kilts Center for Marketing).
"""

import argparse
import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from truth import ALL_TERMS, LAGS, OPTIONS, PARTS

from elasticity_assets.inference import engines
from elasticity_assets.inference.category_price_index import with_category_price_index
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.price_lags import bearable_lags, with_price_lags
from elasticity_assets.inference.priors import Season
from elasticity_assets.inference.season import with_price_season
from elasticity_assets.inference.summaries import own_data_estimates, product_summary


def windows(sales: pd.DataFrame, weeks: int) -> Iterator[pd.DataFrame]:
    """Cut sales into neighbouring windows of so many weeks; what is left at the end is no window."""
    number = (sales["week"] - sales["week"].min()).dt.days // (7 * weeks)
    last_day = sales["week"].max() + pd.Timedelta(days=7)
    for _, rows in sales.groupby(number):
        begin = sales["week"].min() + pd.Timedelta(weeks=weeks * int(number[rows.index[0]]))
        if begin + pd.Timedelta(weeks=weeks) <= last_day:
            yield rows


def laid_out(rows: pd.DataFrame, controls: Sequence[str], without: Collection[str]) -> Panel:
    """Lay out one category's window."""
    found = CategorySales(
        str(rows["category"].iloc[0]),
        rows["product"].to_numpy().astype(str),
        rows["week"].to_numpy("datetime64[D]"),
        rows["units"].to_numpy(),
        rows["price"].to_numpy(),
        {name: rows[name].to_numpy() for name in controls},
    )
    panel = panel_from_sales(found)
    lags = 0 if "lags" in without else bearable_lags(LAGS, panel.n_periods)
    panel = with_price_lags(with_category_price_index(panel, lags), lags)
    return panel if "season" in without else with_price_season(panel, Season.least_days)


def fitted(rows: pd.DataFrame, controls: Sequence[str], without: Collection[str]) -> pd.DataFrame:
    """Posterior mean and sd of each product of one category's window, and its own data's estimate."""
    priors = replace(ALL_TERMS, **dict.fromkeys({"slow_demand", "season"}.intersection(without)))
    panel = laid_out(rows, controls, without)
    posterior = engines.fit(panel, priors, OPTIONS)
    found = product_summary(posterior)
    return pd.DataFrame(
        {
            "category": panel.category,
            "product": panel.product,
            "mean": found.mean,
            "sd": found.sd,
            "own": own_data_estimates(posterior)[0],
            "factor": posterior.serial_correlation_factor,
        }
    )


def compared(
    sales: pd.DataFrame, weeks: int, controls: Sequence[str], without: Collection[str]
) -> pd.DataFrame:
    """Each product's posterior in a window (x) beside that in the next one (y)."""
    by_window = [
        pd.concat(fitted(rows, controls, without) for _, rows in window.groupby("category"))
        for window in windows(sales, weeks)
    ]
    return pd.concat(
        one.merge(other, on=["category", "product"]).assign(window=number)
        for number, (one, other) in enumerate(itertools.pairwise(by_window))
    )


def described(pairs: pd.DataFrame) -> dict[str, float]:
    """How far neighbouring windows agree."""
    apart = (pairs["mean_x"] - pairs["mean_y"]) / np.hypot(pairs["sd_x"], pairs["sd_y"])
    return {
        "pairs": len(pairs),
        "correlation": pairs["mean_x"].corr(pairs["mean_y"]),
        "own_data": pairs["own_x"].corr(pairs["own_y"]),
        "agree": np.mean(np.abs(apart) < 1.645),
        "difference": np.mean(pairs["mean_y"] - pairs["mean_x"]),
        "mean_elasticity": pairs[["mean_x", "mean_y"]].to_numpy().mean(),
        "mean_sd": pairs[["sd_x", "sd_y"]].to_numpy().mean(),
        "factor": pairs[["factor_x", "factor_y"]].to_numpy().mean(),
    }


def resampled_correlations(kinds: Sequence[pd.DataFrame], draws: int = 2000) -> np.ndarray:
    """Draw products with replacement; correlations of each model's windows, shape (draws, models)."""
    rng = np.random.default_rng(0)
    rows = [kind.set_index(["category", "product", "window"]).sort_index() for kind in kinds]
    product = rows[0].index.droplevel("window")
    of_product = list(pd.Series(np.arange(len(product))).groupby(product).indices.values())
    means = [kind[["mean_x", "mean_y"]].to_numpy() for kind in rows]
    found = []
    for _ in range(draws):
        chosen = np.concatenate([of_product[k] for k in rng.integers(len(of_product), size=len(of_product))])
        found.append([np.corrcoef(mean[chosen].T)[0, 1] for mean in means])
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="CSV: category, product, week, units, price")
    parser.add_argument("--weeks", type=int, default=90, help="of a window")
    parser.add_argument("--controls", nargs="+", default=[], help="columns")
    parser.add_argument("--without", nargs="+", choices=PARTS, default=[], help="parts of the model")
    arguments = parser.parse_args()
    sales = pd.read_csv(arguments.file, parse_dates=["week"])
    kinds = {"the simplest": PARTS, "the model": arguments.without}
    pairs = {
        kind: compared(sales, arguments.weeks, arguments.controls, without) for kind, without in kinds.items()
    }
    print(pd.DataFrame({kind: described(found) for kind, found in pairs.items()}).T.round(3).to_string())
    drawn = resampled_correlations(list(pairs.values()))
    for kind, correlation in (
        *zip(pairs, drawn.T, strict=True),
        ("their difference", drawn[:, 1] - drawn[:, 0]),
    ):
        low, high = np.quantile(correlation, (0.05, 0.95))
        print(f"correlation of {kind}: 90% interval {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
