"""What uniform pricing costs: do 90% intervals of what prices by zone gain over one change everywhere hold the truth.

    python benchmarks/zone_pricing.py --sets 24 [--seed 100] [--shape 10x8x60] [--spread 0.2] [--max-change 0.1]

Simulated categories (`inference/simulate_zones.py`): zones' own elasticities and prices, shocks common to zones. What
zones add to elasticities, and products in them, has the sd `spread`; with `--spread prior` one drawn from the fit's
prior. Fitted by the engine of zones. Today's price is the median one of a row's last 13 weeks, units are those of
these weeks, margins of products are drawn from 25% to 65%. The same code as the asset's chooses one change everywhere
and prices by zone, for profit; what they bring is worked out from the true elasticities.

`held` is the share of 90% intervals that hold the true difference, of products whose prices differ by zone, and of
categories; `reported` the mean `prob_zones_gain` of these products, `realised` the share of them whose zones do gain
more. `cost` is what uniform pricing costs in sum, as expected and as realised, as a share of what one change everywhere
is expected to gain; `knowing` what it would cost were elasticities known.
"""

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np

from elasticity_assets.fitting.threads import one_blas_thread
from elasticity_assets.inference.natural_gradient.zones import engine
from elasticity_assets.inference.options import NaturalGradientOptions
from elasticity_assets.inference.posterior import summarize
from elasticity_assets.inference.priors import DEFAULT, SlowDemand, Zones
from elasticity_assets.inference.simulate_zones import ZoneSimulation, ZoneTruth, simulate_zones
from elasticity_assets.inference.zoned_panel import ZonedPanel
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets.pricing.choice import Choice
from elasticity_assets.pricing.products import Products
from elasticity_assets.pricing.recommend import choose
from elasticity_assets.pricing.uniform import UniformPricing, uniform_pricing
from elasticity_assets.pricing.zones import InZones, ZonePrices, choose_by_zone
from elasticity_assets.settings import PricingSettings

RECENT = 13  # weeks
MARGINS = 0.25, 0.65


@dataclass(frozen=True)
class Known:
    """What the warehouse would know of a category.

    Attributes
    ----------
    products : Products
    zones : InZones
    """

    products: Products
    zones: InZones


def fitted(simulation: ZoneSimulation, seed: int) -> tuple[ZonedPanel, ZoneTruth, ZonedPosterior]:
    """Draw a category, and fit it."""
    panel, truth = simulate_zones(simulation, seed)
    priors = replace(DEFAULT, slow_demand=SlowDemand())
    with one_blas_thread():
        found = engine.fit(panel, priors, Zones(), "negative_binomial", NaturalGradientOptions())
    return panel, truth, found


def known_of(panel: ZonedPanel, found: ZonedPosterior, seed: int) -> Known:
    """Give what the warehouse would know."""
    n, R, T = panel.n_products, panel.n_rows, panel.rows.n_periods
    rng = np.random.default_rng([seed, 1])
    recent = slice(T - RECENT, T)
    units = panel.rows.units[:R, recent].mean(axis=1).astype(float)
    log_price = panel.rows.log_price[:R, :T].astype(float)
    price = np.exp(np.median(log_price[:, recent], axis=1)).round(2)
    place, weight = panel.product_of_row, found.products.weight
    sold = np.bincount(place, units, n)
    mean_price = np.bincount(place, units * price, n) / np.where(sold > 0, sold, 1.0)
    mean_price = np.where(sold > 0, mean_price, np.bincount(place, price, n) / np.bincount(place)).round(2)
    cost = (mean_price * (1 - rng.uniform(*MARGINS, n))).round(2)
    row = summarize(weight, found.row_mean, found.row_var)
    product = summarize(weight, found.products.product_mean, found.products.product_var)
    category = summarize(weight, found.products.category_mean[:, None], found.products.category_var[:, None])
    zone = summarize(weight, found.zone_mean, found.zone_var)

    def products(
        code: np.ndarray,
        at: np.ndarray,
        price: np.ndarray,
        units: np.ndarray,
        slope: np.ndarray,
        sd: np.ndarray,
    ) -> Products:
        size = len(code)
        return Products(
            product=code.astype(object),
            price=price,
            price_paid=price,
            units=units,
            cost=cost[at],
            elasticity=slope,
            elasticity_sd=sd,
            category=np.zeros(size, np.int64),
            index_effect=np.zeros(size),
            index_effect_sd=np.zeros(size),
            estimated=np.full(size, True),
            confounded=np.full(size, False),
            tested=np.full(size, True),
            price_min=0.5 * price,
            price_max=2.0 * price,
        )

    rows = products(panel.product[place], place, price, units, row.mean, row.sd)
    shared = np.minimum(found.row_shrinkage * zone.sd[panel.zone_of_row], row.sd)
    of_category = np.minimum(found.products.shrinkage() * category.sd, product.sd)
    return Known(
        products(panel.product, np.arange(n), mean_price, sold, product.mean, product.sd),
        InZones(rows, place, panel.zone[panel.zone_of_row], shared, of_category),
    )


def decided(
    known: Known, rules: PricingSettings
) -> tuple[Choice, ZonePrices, UniformPricing, UniformPricing]:
    """Choose prices everywhere and by zone, and say what uniform ones cost."""
    everywhere, _ = choose(known.products, rules)
    prices = choose_by_zone(known.products, known.zones, everywhere, rules)
    costs = uniform_pricing(known.products, known.zones, prices, rules)
    return everywhere, prices, *costs


def realised(known: Known, price: np.ndarray, elasticity: np.ndarray) -> np.ndarray:
    """Give the true gain in profit of rows' prices, by product, shape (n,)."""
    rows = known.zones.rows
    factor = (price / rows.price) ** elasticity
    gain = rows.units * ((price - rows.cost) * factor - (rows.price - rows.cost))
    return known.zones.of_products(gain)


@dataclass(frozen=True)
class Market:
    """One market: what was said of uniform pricing, and what is true.

    Attributes
    ----------
    products, category : UniformPricing
    true : float array, shape (n,)
        True difference of the gains of the prices by zone and everywhere.
    knowing : float
        What uniform pricing would cost were elasticities known.
    """

    products: UniformPricing
    category: UniformPricing
    true: np.ndarray
    knowing: float

    @classmethod
    def of(cls, simulation: ZoneSimulation, seed: int, rules: PricingSettings) -> "Market":
        """Simulate, fit, decide and realise one."""
        return cls.decided(*fitted(simulation, seed), seed, rules)

    @classmethod
    def decided(
        cls, panel: ZonedPanel, truth: ZoneTruth, found: ZonedPosterior, seed: int, rules: PricingSettings
    ) -> "Market":
        """Decide and realise one."""
        known = known_of(panel, found, seed)
        _, prices, products, category = decided(known, rules)
        true = realised(known, prices.choice.price, truth.row) - realised(known, prices.everywhere, truth.row)
        rows, nothing = known.zones.rows, np.zeros(len(known.zones))
        sure = replace(
            known,
            products=replace(
                known.products, elasticity=truth.together(panel), elasticity_sd=0.0 * known.products.price
            ),
            zones=replace(known.zones, rows=replace(rows, elasticity=truth.row, elasticity_sd=nothing)),
        )
        *_, best = decided(sure, rules)
        return cls(products, category, true, float(best.cost[0]))


def summary(markets: list[Market]) -> str:
    """Say how often intervals held the truth, and what uniform pricing costs."""
    low, high, said, sd, true = (
        np.concatenate(parts)
        for parts in (
            [m.products.ends[0] for m in markets],
            [m.products.ends[1] for m in markets],
            [m.products.prob_zones_gain for m in markets],
            [m.products.cost_sd for m in markets],
            [m.true for m in markets],
        )
    )
    differ = sd > 0
    held = ((low <= true) & (true <= high))[differ]
    ends = np.array([[end[0] for end in m.category.ends] for m in markets])
    total = np.array([m.true.sum() for m in markets])
    held_sums = (ends[:, 0] <= total) & (total <= ends[:, 1])
    off = total - np.array([m.category.cost[0] for m in markets])
    z = off / np.array([m.category.cost_sd[0] for m in markets])
    everywhere = sum(m.category.gain_everywhere[0] for m in markets)
    return (
        f"{len(markets)} markets, prices of {differ.mean():.0%} of {len(differ)} products differ by zone\n"
        f"held: products {held.mean():.3f}, categories {held_sums.mean():.3f} (errors in sds: sd {z.std():.2f}, "
        f"mean {z.mean():+.2f})\n"
        f"reported {said[differ].mean():.3f}, realised {(true > 0)[differ].mean():.3f}\n"
        f"cost: expected {sum(m.category.cost[0] for m in markets) / everywhere:.3f}, realised "
        f"{total.sum() / everywhere:.3f}, knowing {sum(m.knowing for m in markets) / everywhere:.3f} of the gain "
        "everywhere"
    )


def main() -> None:
    """Print what all markets say together."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=24)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--shape", default="10x8x60", help="products x zones x weeks")
    parser.add_argument("--max-change", type=float, default=PricingSettings().max_change)
    parser.add_argument("--spread", default="0.2", help="a number, or prior")
    given = parser.parse_args()
    shape, rules = (
        [int(part) for part in given.shape.split("x")],
        PricingSettings(max_change=given.max_change),
    )
    began, markets = time.process_time(), []
    for seed in range(given.seed, given.seed + given.sets):
        drawn = np.abs(np.random.default_rng([seed, 2]).normal(0.0, 0.5, 2))  # HalfNormal(0.5)
        of_zones, of_rows = drawn if given.spread == "prior" else [float(given.spread)] * 2
        simulation = ZoneSimulation(*shape, zone_spread=of_zones, row_spread=of_rows)
        markets.append(Market.of(simulation, seed, rules))
    print(summary(markets))
    print(f"{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
