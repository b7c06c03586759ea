"""Do intervals hold the true elasticity where demand departs from the simplest: one departure at a time.

    python benchmarks/truth.py --sets 6 [--seed 100] [--without slow_demand season] [--departures base season_promoted]

Simulated categories of 40 products and 104 weeks, through the pipeline's own path from sales to posterior. Of each
departure: coverage of 90% intervals, bias (above 0 is too inelastic), root mean square error against the true
elasticity, passes over the data and seconds; `regression` beside them is least squares of log units on log price with
effects of products and weeks.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from elasticity_assets.inference import engines
from elasticity_assets.inference.category_price_index import with_category_price_index
from elasticity_assets.inference.options import FitOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.priors import DEFAULT, Priors, Season, SlowDemand
from elasticity_assets.inference.simulate import FIRST_PERIOD, simulated_prices
from elasticity_assets.inference.summaries import product_summary

OPTIONS = FitOptions(robust=True, serial_correlation=True)
YEAR = 52  # weeks


@dataclass(frozen=True)
class Market:
    """What a category's sales are drawn from; arrays of shape (n, T).

    Attributes
    ----------
    log_price : array
    demand : array
        Log expected units, but for what prices do.
    elasticity : array, shape (n,)
    promoted : bool array
    noise : Generator
    """

    log_price: np.ndarray
    demand: np.ndarray
    elasticity: np.ndarray
    promoted: np.ndarray
    noise: np.random.Generator

    @property
    def centred(self) -> np.ndarray:
        """Log price less each product's mean."""
        return self.log_price - self.log_price.mean(axis=1, keepdims=True)


def base(rng: np.random.Generator, n: int = 40, weeks: int = 104) -> Market:
    """Nothing unusual: the model's own sales."""
    price, promoted = simulated_prices(rng, n, weeks)
    elasticity = rng.normal(rng.normal(-2.0, 0.5), 0.5, n)
    demand = rng.normal(2.5, 1.0, (n, 1)) + rng.normal(0.0, 0.2, weeks)
    return Market(np.log(price), demand, elasticity, promoted, rng)


def autoregression(rng: np.random.Generator, shape: tuple[int, ...], persistence: float) -> np.ndarray:
    """Stationary, of standard deviation 1, along the last axis."""
    values = rng.normal(size=shape)
    for t in range(1, shape[-1]):
        values[..., t] = persistence * values[..., t - 1] + np.sqrt(1 - persistence**2) * values[..., t]
    return values


def prices_that_stay(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Log prices that change by some 12% every quarter."""
    return 1.0 + np.cumsum(rng.normal(0.0, 0.12, shape) * (rng.random(shape) < 1 / 13), axis=1)


def slow_demand(rng: np.random.Generator) -> Market:
    """Demand of each product drifts, under promotions that come and go."""
    market = base(rng)
    return replace(market, demand=market.demand + 0.4 * autoregression(rng, market.log_price.shape, 0.8))


def slow_demand_prices_stay(rng: np.random.Generator) -> Market:
    """Demand of each product drifts, under prices that stay for a quarter."""
    market = slow_demand(rng)
    return replace(market, log_price=prices_that_stay(rng, market.log_price.shape))


def ramp_up(rng: np.random.Generator) -> Market:
    """Products sell better from month to month, and get cheaper later on."""
    market = base(rng)
    n, T = market.log_price.shape
    week = np.arange(T)
    begin, length = rng.integers(5, 40, (n, 1)), rng.uniform(4.0, 12.0, (n, 1))
    growth = rng.uniform(0.5, 1.5, (n, 1)) / (1.0 + np.exp(-(week - begin) / length))
    cut = np.where(week > begin + rng.integers(10, 40, (n, 1)), rng.uniform(-0.25, -0.05, (n, 1)), 0.0)
    regular = 1.0 + rng.normal(0.0, 0.03, (n, T))
    return replace(market, log_price=regular + cut, demand=market.demand + growth)


def season(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Each product's own season of the year."""
    n, T = shape
    return rng.uniform(0.3, 0.8, (n, 1)) * np.sin(
        2 * np.pi * (np.arange(T) + rng.uniform(0, YEAR, (n, 1))) / YEAR
    )


def season_unrelated(rng: np.random.Generator) -> Market:
    """Products have seasons, and prices know nothing of them."""
    market = base(rng)
    return replace(market, demand=market.demand + season(rng, market.log_price.shape))


def _season_priced(rng: np.random.Generator, change: float) -> Market:
    market = base(rng)
    wave = season(rng, market.log_price.shape)
    high = rng.random(wave.shape) < np.where(wave > 0.25, 0.5, 0.06)
    moved = np.where(high, change * rng.uniform(0.5, 1.5, wave.shape), 0.0)
    regular = 1.0 + rng.normal(0.0, 0.03, wave.shape)
    return replace(market, log_price=regular + moved, demand=market.demand + wave, promoted=high)


def season_promoted(rng: np.random.Generator) -> Market:
    """Products are promoted in their season."""
    return _season_priced(rng, -0.22)


def season_dear(rng: np.random.Generator) -> Market:
    """Products are dearer in their season."""
    return _season_priced(rng, 0.22)


def _substitutes(rng: np.random.Generator, cross: float) -> Market:
    market = base(rng)
    n, T = market.log_price.shape
    group = np.arange(n) // 4
    together = rng.random((n // 4, T)) < 0.2
    discount = rng.uniform(0.1, 0.35, (n, T))
    promoted = together[group] & (rng.random((n, T)) < 0.8)
    log_price = 1.0 + rng.normal(0.0, 0.03, (n, T)) + np.where(promoted, np.log1p(-discount), 0.0)
    market = replace(market, log_price=log_price, promoted=promoted)
    others = (_by_group(market.centred, group) - market.centred) / 3.0
    return replace(market, demand=market.demand + cross * others)


def _by_group(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    return np.stack([values[group == own].sum(axis=0) for own in group])


def substitutes_half(rng: np.random.Generator) -> Market:
    """Promote groups of four together; cross-elasticity 0.5."""
    return _substitutes(rng, 0.5)


def substitutes_one(rng: np.random.Generator) -> Market:
    """Promote groups of four together; cross-elasticity 1."""
    return _substitutes(rng, 1.0)


def stockpiling(rng: np.random.Generator) -> Market:
    """Buy in promotions what is not bought in the four weeks after."""
    market = base(rng)
    later = np.zeros_like(market.log_price)
    for lag, share in enumerate((0.4, 0.25, 0.15, 0.1), start=1):
        later[:, lag:] += share * market.centred[:, :-lag]
    return replace(market, demand=market.demand - market.elasticity[:, None] * 0.6 * later)


def drift_together(rng: np.random.Generator) -> Market:
    """Eight products, whose prices and demand drift together."""
    market = base(rng, n=8)
    T = market.log_price.shape[1]
    drift = autoregression(rng, (T,), 0.95)
    return replace(market, log_price=market.log_price + 0.12 * drift, demand=market.demand - 0.3 * drift)


def _follows(rng: np.random.Generator, correlation: float) -> Market:
    market = base(rng)
    shock = autoregression(rng, market.log_price.shape, 0.8)
    own = autoregression(rng, market.log_price.shape, 0.8)
    log_price = 1.0 + 0.15 * (correlation * shock + np.sqrt(1 - correlation**2) * own)
    return replace(market, log_price=log_price, demand=market.demand + 0.3 * shock)


def follows_demand_little(rng: np.random.Generator) -> Market:
    """Prices follow demand, with correlation 0.3."""
    return _follows(rng, 0.3)


def follows_demand_much(rng: np.random.Generator) -> Market:
    """Prices follow demand, with correlation 0.6."""
    return _follows(rng, 0.6)


def hidden_display(rng: np.random.Generator) -> Market:
    """On 60% of promotions there is a display, which the files do not show."""
    market = base(rng)
    shown = market.promoted & (rng.random(market.promoted.shape) < 0.6)
    return replace(market, demand=market.demand + 0.4 * shown)


def stock_outs(rng: np.random.Generator) -> Market:
    """In 30% of promotions the product runs out after some days."""
    market = base(rng)
    out = market.promoted & (rng.random(market.promoted.shape) < 0.3)
    left = np.where(out, rng.uniform(0.2, 0.7, out.shape), 1.0)
    return replace(market, demand=market.demand + np.log(left))


def kink(rng: np.random.Generator) -> Market:
    """Prices above the usual one hurt twice as much as prices below it help."""
    market = base(rng)
    dearer = np.maximum(market.log_price - np.median(market.log_price, axis=1, keepdims=True), 0.0)
    return replace(market, demand=market.demand + market.elasticity[:, None] * dearer)


DEPARTURES: dict[str, Callable[[np.random.Generator], Market]] = {
    make.__name__: make
    for make in (
        base,
        slow_demand,
        slow_demand_prices_stay,
        ramp_up,
        season_unrelated,
        season_promoted,
        season_dear,
        substitutes_half,
        substitutes_one,
        stockpiling,
        drift_together,
        follows_demand_little,
        follows_demand_much,
        hidden_display,
        stock_outs,
        kink,
    )
}


def sold(market: Market) -> Panel:
    """Draw the category's sales, and lay them out."""
    rng = market.noise
    n, T = market.log_price.shape
    dispersion = np.exp(rng.normal(2.0, 0.5, (n, 1)))
    mean = np.exp(market.demand + market.elasticity[:, None] * market.centred)
    units = rng.poisson(mean * rng.gamma(dispersion, 1.0 / dispersion, (n, T)))
    product, week = np.divmod(np.arange(n * T), T)
    sales = CategorySales(
        "simulated",
        np.char.add("p", np.char.zfill(product.astype(str), 3)),
        FIRST_PERIOD + 7 * week,
        units.ravel(),
        np.exp(market.log_price).ravel(),
    )
    return with_category_price_index(panel_from_sales(sales))


def regression(panel: Panel) -> np.ndarray:
    """Each product's slope by least squares of log units on log price, products' and weeks' means taken out."""
    n, T = panel.n_products, panel.n_periods
    y, x = np.log(panel.units[:n, :T] + 0.5), panel.log_price[:n, :T].astype(float)
    y, x = (part - part.mean(0) - part.mean(1, keepdims=True) + part.mean() for part in (y.astype(float), x))
    return (x * y).sum(axis=1) / (x**2).sum(axis=1)


def measure(departure: str, seeds: range, priors: Priors) -> dict[str, float]:
    """Hold fits of several sets against the truth."""
    rows = []
    for seed in seeds:
        market = DEPARTURES[departure](np.random.default_rng(seed))
        panel = sold(market)
        began = time.process_time()
        posterior = engines.fit(panel, priors, OPTIONS)
        found, truth = product_summary(posterior), market.elasticity
        rows.append(
            {
                "covered": np.mean((found.q05 < truth) & (truth < found.q95)),
                "bias": np.mean(found.mean - truth),
                "rmse2": np.mean((found.mean - truth) ** 2),
                "regression_rmse2": np.mean((regression(panel) - truth) ** 2),
                "factor": posterior.serial_correlation_factor,
                "passes": posterior.diagnostics.iterations,
                "cpu_seconds": time.process_time() - began,
                "converged": posterior.diagnostics.converged,
            }
        )
    mean = pd.DataFrame(rows).mean()
    mean["rmse2"], mean["regression_rmse2"] = np.sqrt(mean["rmse2"]), np.sqrt(mean["regression_rmse2"])
    return mean.rename({"rmse2": "rmse", "regression_rmse2": "regression_rmse"}).to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=6, help="data sets a departure")
    parser.add_argument("--seed", type=int, default=100, help="of the first set")
    parser.add_argument(
        "--without", nargs="+", choices=("slow_demand", "season"), default=[], help="parts of the model"
    )
    parser.add_argument("--departures", nargs="+", choices=DEPARTURES, default=list(DEPARTURES))
    arguments = parser.parse_args()
    parts = {"slow_demand": SlowDemand(), "season": Season()}
    priors = replace(DEFAULT, **parts | dict.fromkeys(arguments.without))
    seeds = range(arguments.seed, arguments.seed + arguments.sets)
    for number, departure in enumerate(arguments.departures):
        row = pd.DataFrame({departure: measure(departure, seeds, priors)}).T
        print(row.round(2).to_string(header=number == 0, col_space=8), flush=True)


if __name__ == "__main__":
    main()
