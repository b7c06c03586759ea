"""Categories' elasticities beside Poisson fixed-effects regression on the same sales.

    python benchmarks/regression.py [data/elasticity.duckdb]

Regression: units ~ log price (+ controls) with product and period effects, standard errors clustered by
product. It weights by volume where a category's elasticity weights products alike, so agreement within two
standard errors is what can be asked. Once without controls, where the model is fitted here, and once with
those that the published file has, where its tables are shown.
"""

import argparse
import json
from pathlib import Path

import duckdb
import pandas as pd
import statsmodels.api as sm

from elasticity_assets.inference import engines
from elasticity_assets.inference.hierarchy import message, pool, pooled
from elasticity_assets.inference.panel import CategorySales, panel_from_sales
from elasticity_assets.inference.posterior import summarize
from elasticity_assets.inference.priors import DEFAULT

FIXED_COLUMNS = ("category", "product", "period_start", "units", "revenue", "price", "regular_price")


def regression(sales: pd.DataFrame, controls: list[str]) -> tuple[float, float]:
    """Slope of log price and its standard error, clustered by product, in one category.

    Parameters
    ----------
    sales : DataFrame
        log_price, units, product, period_start and the controls; one row a product-period.
    controls : list of str
    """
    effects = pd.get_dummies(sales[["product", "period_start"]].astype(str), dtype=float)
    # One period is the reference; products take the place of the intercept.
    effects = effects.drop(columns=[name for name in effects if name.startswith("period_start_")][:1])
    design = pd.concat([sales[["log_price", *controls]], effects], axis=1)
    fit = sm.GLM(sales["units"], design, family=sm.families.Poisson()).fit(
        cov_type="cluster", cov_kwds={"groups": sales["product"].astype("category").cat.codes}
    )
    return float(fit.params["log_price"]), float(fit.bse["log_price"])


def elasticities(sales: pd.DataFrame, truncated: set[str]) -> dict[str, tuple[float, float]]:
    """Mean and sd of every category's elasticity, fitted without controls and pooled.

    Parameters
    ----------
    sales : DataFrame
    truncated : set of str
        Categories whose files drop product-periods without sales.
    """
    fits = [
        engines.fit(
            panel_from_sales(
                CategorySales(
                    str(category),
                    rows["product"].to_numpy(str),
                    rows["period_start"].to_numpy("datetime64[D]"),
                    rows["units"].to_numpy(),
                    rows["price"].to_numpy(),
                    missing_periods="truncated" if category in truncated else "unobserved",
                )
            )
        )
        for category, rows in sales.groupby("category")
    ]
    levels = pool([message(fit) for fit in fits], DEFAULT)
    summaries = {}
    for fit in fits:
        after = pooled(fit, levels)
        summary = summarize(after.weight, after.category_mean[:, None], after.category_var[:, None])
        summaries[fit.category] = float(summary.mean[0]), float(summary.sd[0])
    return summaries


def compare(
    title: str, sales: pd.DataFrame, ours: dict[str, tuple[float, float]], controls: list[str]
) -> int:
    """Print one comparison; return how many categories agree within two standard errors."""
    print(f"\n{title}\n{'category':<26}{'elasticity (sd)':>18}{'regression (se)':>18}{'difference / se':>18}")
    within = 0
    for category, rows in sales.groupby("category"):
        mean, sd = ours[str(category)]
        slope, error = regression(rows, controls)
        distance = (mean - slope) / error
        within += abs(distance) <= 2
        print(f"{category:<26}{mean:>11.2f} ({sd:.2f}){slope:>11.2f} ({error:.2f}){distance:>18.1f}")
    print(f"within 2 standard errors: {within} of {len(ours)} categories")
    return within


def main() -> None:
    """Print both comparisons, and their counts as one line of JSON."""
    parser = argparse.ArgumentParser(description="Elasticities beside Poisson fixed-effects regression")
    parser.add_argument("published", type=Path, nargs="?", default=Path("data/elasticity.duckdb"))
    file = parser.parse_args().published
    with duckdb.connect(str(file), read_only=True) as connection:
        sales = connection.sql("SELECT *, ln(price) AS log_price FROM weekly_sales").df()
        diagnostics = connection.sql("SELECT category, likelihood FROM fit_diagnostics").fetchall()
        published = connection.sql(
            "SELECT category, elasticity, elasticity_sd FROM category_elasticity"
        ).fetchall()
    controls = [name for name in sales if name not in (*FIXED_COLUMNS, "log_price")]
    sales = sales.fillna(dict.fromkeys(controls, 0.0))
    truncated = {category for category, likelihood in diagnostics if likelihood.startswith("zero-truncated")}
    counts = {"without_controls": compare("Without controls", sales, elasticities(sales, truncated), [])}
    if controls:
        ours = {category: (mean, sd) for category, mean, sd in published}
        counts["with_controls"] = compare(f"With {' and '.join(controls)}", sales, ours, controls)
    print(json.dumps({"categories": sales["category"].nunique(), **counts}))


if __name__ == "__main__":
    main()
