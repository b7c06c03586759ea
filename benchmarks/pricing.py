"""Do recommended prices gain? Decided from the posterior, realised under the truth; and how long a million take.

    python benchmarks/pricing.py --sets 12 [--seed 100] [--departures base kink] [--confidence 0.8] [--objective profit]
    python benchmarks/pricing.py --products 1_000_000

Simulated categories of 40 products and 104 weeks, of each departure of `benchmarks/truth.py`, fitted as the pipeline
fits them. Today's price is the last one outside promotions, margins are drawn from 25% to 65%, units are those of the
last 13 weeks. The same code as the asset's chooses prices within 10%; what they bring is worked out from the true
long-run elasticities (and cross-elasticities, and the kink), each decision on the same ladders:

    recommended    what recommended_prices says: nothing where the category's prices seem to follow demand
    plug_in        the best price were the posterior's mean certain
    regression     the best price were least squares' slope certain
    cost_plus      the cost times the category's mean mark-up

Regret is the gain that is missed, as a share of what knowing the truth would gain: no change at all has 1. A change
loses if the product's profit, with what its substitutes gain or lose, falls under the truth; `loss` is what these lose
together, in the same share. `reported` is the mean
`prob_gain` of the recommended changes, `realised` the share of them that gain; `error` the largest difference of the
two among changes reported at 80-90%, 90-97% and above, where there are a hundred.
"""

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from truth import ALL_TERMS, FEW, OPTIONS, PRODUCTS, WEEKS, regression, sold

from elasticity_assets.inference import engines
from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX
from elasticity_assets.inference.departures import DEPARTURES, Market
from elasticity_assets.inference.judging.confounding import look_for_confounding
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.substitute_prices import SUBSTITUTE_PRICES
from elasticity_assets.inference.summaries import long_run_summary
from elasticity_assets.pricing.ladder import candidate_prices
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.recommend import choose
from elasticity_assets.published.recommended_prices import Priced, recommended
from elasticity_assets.published.recommended_tests import Decided as DecidedPrices
from elasticity_assets.published.recommended_tests import recommended_tests_of
from elasticity_assets.settings import PricingSettings

RECENT = 13  # weeks
MARGINS = 0.25, 0.65
BINS = 0.8, 0.9, 0.97, 1.0
ENOUGH = 100
"""Changes in a bin of probabilities that are held against what was realised."""
DECISIONS = "recommended", "plug_in", "regression", "cost_plus"


@dataclass(frozen=True)
class Decided:
    """One category: what is known, and what is true.

    Attributes
    ----------
    products : Products
    cross : CrossEffects
        As the posterior has them.
    market : Market
    dearer_hurts_twice : bool
        Prices above the usual one.
    least_squares : float array, shape (n,)
        Slopes.
    """

    products: Products
    cross: CrossEffects
    market: Market
    dearer_hurts_twice: bool
    least_squares: np.ndarray

    def log_units(self, price: np.ndarray) -> np.ndarray:
        """Give the true change of log units at prices of the product, (n, k), shape (n, k)."""
        today = np.log(self.products.price)[:, None]
        log_price = np.log(price)
        response = self.market.long_run[:, None] * (log_price - today)
        if self.dearer_hurts_twice:
            usual = np.median(self.market.log_price, axis=1)[:, None]
            above = np.maximum(log_price - usual, 0.0) - np.maximum(today - usual, 0.0)
            response += self.market.elasticity[:, None] * above
        return response

    def gains(self, price: np.ndarray, worth: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Give the true gain of each price, (n, k), the others as today, with what its group gains or loses."""
        products, today = self.products, self.products.price[:, None]
        units = products.units[:, None]
        own = units * (worth(price) * np.exp(self.log_units(price)) - worth(today))
        at_stake = products.units * worth(today)[:, 0]
        group, cross = self.market.group, self.market.cross_elasticity
        of_group = np.array([at_stake[group == name].sum() for name in group]) - at_stake
        return own + of_group[:, None] * np.expm1(cross[:, None] * np.log(price / today))


def fitted(departure: str, seed: int) -> tuple[Market, Panel, CategoryPosterior]:
    """Draw a category, and fit it."""
    market = DEPARTURES[departure](np.random.default_rng(seed), FEW.get(departure, PRODUCTS), WEEKS)
    panel = sold(market)
    return market, panel, engines.fit(panel, ALL_TERMS, OPTIONS)


def known(departure: str, seed: int) -> Decided:
    """Give what the warehouse would know of a category's products."""
    market, panel, posterior = fitted(departure, seed)
    return known_of(market, panel, posterior, seed, dearer_hurts_twice=departure == "kink")


def known_of(
    market: Market, panel: Panel, posterior: CategoryPosterior, seed: int, *, dearer_hurts_twice: bool = False
) -> Decided:
    """Give what the warehouse would know of a market's products."""
    n, T = market.log_price.shape
    rng = np.random.default_rng([seed, 1])
    usual = np.where(market.promoted, -1, np.arange(T)).max(axis=1)
    price = np.exp(market.log_price[np.arange(n), usual]).round(2)
    slope, effect = long_run_summary(posterior), {}
    for place, control in enumerate(posterior.control):
        mean = posterior.weight @ posterior.control_mean[:, place]
        var = posterior.weight @ (
            posterior.control_var[:, place] + (posterior.control_mean[:, place] - mean) ** 2
        )
        effect[control] = mean, np.sqrt(var)
    index, index_sd = effect.get(CATEGORY_PRICE_INDEX, (0.0, 0.0))
    products = Products(
        product=posterior.product,
        price=price,
        price_paid=price,
        units=panel.units[:n, T - RECENT : T].mean(axis=1).astype(float),
        cost=(price * (1 - rng.uniform(*MARGINS, n))).round(2),
        elasticity=slope.mean,
        elasticity_sd=slope.sd,
        category=np.zeros(n, np.int64),
        index_effect=np.full(n, index),
        index_effect_sd=np.full(n, index_sd),
        estimated=np.full(n, True),
        confounded=np.full(n, look_for_confounding(panel, posterior, ALL_TERMS).prices_follow_demand),
        tested=np.full(n, True),
        price_min=np.exp(market.log_price.min(axis=1)),
        price_max=np.exp(market.log_price.max(axis=1)),
    )
    cross = cross_effects(market.group, panel, *effect.get(SUBSTITUTE_PRICES, (0.0, 0.0)))
    return Decided(products, cross, market, dearer_hurts_twice, regression(panel))


def cross_effects(group: np.ndarray, panel: Panel, effect: float, effect_sd: float) -> CrossEffects:
    """Share the effect of others' mean price out by what each of them sells, as cross_elasticity does."""
    if not effect_sd:
        return CrossEffects.none()
    units = panel.units[: panel.n_products, : panel.n_periods].sum(axis=1, dtype=float)
    changed, affected = np.nonzero((group[:, None] == group) & ~np.eye(len(group), dtype=bool))
    others = np.array([units[group == name].sum() for name in group]) - units
    share = units[changed] / others[affected]
    return CrossEffects(changed, affected, effect * share, effect_sd * share)


def decided(case: Decided, rules: PricingSettings) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Give each decision's prices, and the probabilities of gain that recommended ones have."""
    products, cross = case.products, case.cross
    choice, _ = choose(products, rules, cross)
    certain = rules.model_copy(update={"confidence": 0.0})
    no_index = {"index_effect": 0.0 * products.price, "index_effect_sd": 0.0 * products.price}
    trusted = {"confounded": np.full(len(products), False)}
    sure = replace(products, elasticity_sd=0.0 * products.price, **no_index, **trusted)
    no_error = replace(cross, elasticity_sd=0.0 * cross.elasticity_sd)
    mark_up = np.mean(products.price / products.cost)
    prices = {
        "recommended": choice.price,
        "plug_in": choose(sure, certain, no_error)[0].price,
        "regression": choose(replace(sure, elasticity=case.least_squares), certain, no_error)[0].price,
        "cost_plus": np.clip(
            products.cost * mark_up,
            products.price * (1 - rules.max_change),
            products.price * (1 + rules.max_change),
        ).round(2),
    }
    return prices, choice.probability


def measure(departure: str, seeds: range, rules: PricingSettings) -> dict[str, float]:
    """Hold decisions in several sets against the truth."""
    missed, loss = dict.fromkeys(DECISIONS, 0.0), dict.fromkeys(DECISIONS, 0.0)
    lost, changed = dict.fromkeys(DECISIONS, 0), dict.fromkeys(DECISIONS, 0)
    best_gain, n, reported, realised = 0.0, 0, [], []
    for seed in seeds:
        case = known(departure, seed)
        products = case.products

        def worth(price: np.ndarray, cost: np.ndarray = products.cost) -> np.ndarray:
            if rules.objective == "units":
                return np.ones_like(price)
            return price - (cost[:, None] if rules.objective == "profit" else 0.0)

        ladder = candidate_prices(products.price, rules.max_change)
        best = np.nanmax(np.where(np.isfinite(ladder), case.gains(ladder, worth), np.nan), axis=1)
        best_gain, n = best_gain + best.sum(), n + len(products)
        prices, probability = decided(case, rules)
        for name, price in prices.items():
            gain, moved = case.gains(price[:, None], worth)[:, 0], price != products.price
            missed[name] += (best - gain).sum()
            loss[name] -= gain[gain < 0].sum()
            lost[name] += int((moved & (gain < 0)).sum())
            changed[name] += int(moved.sum())
            if name == "recommended":
                reported.append(probability[moved])
                realised.append(gain[moved] > 0)
    said, true = np.concatenate(reported), np.concatenate(realised)
    errors = [
        abs(said[inside].mean() - true[inside].mean())
        for low, high in pairwise(BINS)
        if (inside := (said >= low) & (said <= high)).sum() >= ENOUGH
    ]
    return {
        **{f"regret_{name}": value / best_gain for name, value in missed.items()},
        **{f"loss_{name}": value / best_gain for name, value in loss.items()},
        **{f"changed_{name}": value / n for name, value in changed.items()},
        **{f"lose_{name}": lost[name] / max(changed[name], 1) for name in DECISIONS},
        "lost": lost["recommended"],
        "lost_plug_in": lost["plug_in"],
        "reported": said.mean() if len(said) else np.nan,
        "realised": true.mean() if len(true) else np.nan,
        "error": max(errors, default=np.nan),
    }


def of_many(n: int) -> None:
    """Time recommended prices and tests of so many products, of categories of a thousand and groups of ten."""
    rng = np.random.default_rng(0)
    price = np.round(np.exp(rng.normal(1.0, 1.0, n)), 2) + 0.05
    changed = np.repeat(np.arange(n), 9)
    affected = changed // 10 * 10 + (changed % 10 + np.tile(np.arange(1, 10), n)) % 10
    inside = affected < n
    effect = np.full(inside.sum(), 0.05)
    number = np.arange(n) // 1000
    products = Products(
        product=np.char.add("p", np.arange(n).astype(str)).astype(object),
        price=price,
        price_paid=price,
        units=rng.exponential(10.0, n),
        cost=np.where(rng.random(n) < 0.7, price * rng.uniform(0.4, 0.9, n), np.nan),
        elasticity=rng.normal(-1.6, 0.6, n),
        elasticity_sd=rng.uniform(0.1, 0.8, n),
        category=number,
        index_effect=rng.normal(0.0, 0.5, number[-1] + 1)[number],
        index_effect_sd=np.full(n, 0.3),
        estimated=rng.random(n) < 0.9,
        confounded=np.full(n, False),
        tested=np.full(n, True),
        price_min=price * 0.8,
        price_max=price * 1.1,
    )
    priced = Priced(
        number.astype(object), products, CrossEffects(changed[inside], affected[inside], effect, effect)
    )
    pairs = [
        {"larger": f"p{i}", "not_cheaper_per_unit_than": f"p{i + 1}"} for i in range(0, min(n, 2000) - 1, 2)
    ]
    rules = PricingSettings(max_products=max(5, n // 20), endings=[0.99, 0.49], groups=pairs)
    before, began = time.process_time(), time.monotonic()
    found = recommended(priced, rules, "benchmark").rows
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{n:,} products, {inside.sum():,} effects, {len(pairs):,} rules: {cpu_seconds:.1f} CPU seconds, "
        f"{seconds:.1f} s, {peak:.1f} GB peak, {(found['action'] != 'keep').sum():,} changes"
    )
    rule = found["binding_rule"].fillna("").to_numpy(dtype=object)
    noise, bias = rng.uniform(0.2, 0.8, n), rng.uniform(1.0, 5.0, n)
    before = time.process_time()
    tests = recommended_tests_of(
        DecidedPrices(priced, found["price_recommended"].to_numpy(), rule, noise, bias), rules, "benchmark"
    )
    cpu_seconds = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(tests):,} tests: {cpu_seconds:.1f} CPU seconds, {peak:.1f} GB peak")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=12, help="data sets a departure")
    parser.add_argument("--seed", type=int, default=100, help="of the first set")
    parser.add_argument("--departures", nargs="+", choices=DEPARTURES, default=list(DEPARTURES))
    parser.add_argument("--confidence", type=float, default=PricingSettings().confidence)
    parser.add_argument("--objective", choices=["profit", "revenue", "units"], default="profit")
    parser.add_argument("--products", type=int, help="time so many products instead")
    arguments = parser.parse_args()
    if arguments.products:
        of_many(arguments.products)
        return
    seeds = range(arguments.seed, arguments.seed + arguments.sets)
    rules = PricingSettings(objective=arguments.objective, confidence=arguments.confidence)
    rows = {departure: measure(departure, seeds, rules) for departure in arguments.departures}
    print(pd.DataFrame(rows).T.round(3).to_string())


if __name__ == "__main__":
    main()
