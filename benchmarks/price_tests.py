"""Are the price tests that recommended_tests names worth more than others: regret before and after them.

    python benchmarks/price_tests.py --sets 12 [--seed 100] [--chosen 20] [--random 60]

Each set is an assortment of four simulated categories of 40 products and 104 weeks, fitted as the pipeline fits them:
the base market, one whose prices follow demand with correlation 0.6 and its twin whose prices do not, and one of
correlation 0.3. Prices, costs and decisions are those of `benchmarks/pricing.py`. A test's outcome is drawn around the
true elasticity with the sd that its length and its step of prices reach; it enters as a Gaussian factor, and the price
is chosen anew. Regret is the gain that is missed, as a share of what knowing the truth would gain; the tests named
first are held against as many, or more, drawn at random, and against those of the products that sell for most.

Where prices follow demand nothing is recommended, and a test lifts that, too: what lifting it alone is worth, the same
products without an outcome say, with the sd that is believed and with the posterior's; as many at random among the
products of such categories say what choosing among them is worth.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from pricing import Decided, known_of
from truth import ALL_TERMS, OPTIONS, PRODUCTS, WEEKS, sold

from elasticity_assets.inference import engines
from elasticity_assets.inference.departures import DEPARTURES, Market
from elasticity_assets.inference.summaries import bias_per_confounding, log_units_sd
from elasticity_assets.inference.twins import Confounding, twins
from elasticity_assets.pricing.ladder import candidate_prices
from elasticity_assets.pricing.recommend import choose
from elasticity_assets.pricing.worth_of_a_test import PriceTests, believed_sd, price_tests
from elasticity_assets.settings import PricingSettings

DRAWS = 20
"""Of outcomes and of random tests, a set."""


@dataclass(frozen=True)
class Category:
    """One category, its decisions and the tests of its products.

    Attributes
    ----------
    case : Decided
    price : float array, shape (n,)
        Recommended today.
    tests : PriceTests
    best : float array, shape (n,)
        What knowing the truth gains.
    """

    case: Decided
    price: np.ndarray
    tests: PriceTests
    best: np.ndarray

    def worth(self, price: np.ndarray) -> np.ndarray:
        """Give the profit of a unit."""
        return price - self.case.products.cost[:, None]

    def gain(self, price: np.ndarray) -> float:
        """Give what prices truly gain, together."""
        return float(self.case.gains(price[:, None], self.worth).sum())

    def after(self, tested: np.ndarray, rules: PricingSettings, rng: np.random.Generator) -> np.ndarray:
        """Choose prices after tests of some products, bool (n,), with drawn outcomes."""
        products, tests = self.case.products, self.tests
        now, left = tests.sd_now, tests.sd_after
        runs = tested & (tests.periods > 0)
        precision = np.where(runs, left**-2 - now**-2, 1.0)
        outcome = self.case.market.long_run + rng.normal(size=len(now)) / np.sqrt(precision)
        learned = left**2 * (products.elasticity / now**2 + precision * outcome)
        known = replace(
            products,
            elasticity=np.where(runs, learned, products.elasticity),
            elasticity_sd=np.where(runs, left, products.elasticity_sd),
            confounded=products.confounded & ~runs,
        )
        return choose(known, rules, self.case.cross)[0].price

    def unblocked(self, which: np.ndarray, rules: PricingSettings, sd: np.ndarray) -> np.ndarray:
        """Choose prices as if those of some products, bool (n,), did not follow demand, with an sd in their place."""
        products = self.case.products
        known = replace(
            products,
            elasticity_sd=np.where(which, sd, products.elasticity_sd),
            confounded=products.confounded & ~which,
        )
        return choose(known, rules, self.case.cross)[0].price


def category(market: Market, seed: int, rules: PricingSettings) -> Category:
    """Fit one market, decide, and work its tests out."""
    panel = sold(market)
    posterior = engines.fit(panel, ALL_TERMS, OPTIONS)
    case = known_of(market, panel, posterior, seed)
    products = case.products
    choice, _ = choose(products, rules, case.cross)
    bias, _ = bias_per_confounding(posterior, panel.observed[: panel.n_products].sum(axis=1))
    noise, sd = log_units_sd(posterior, products.units), believed_sd(products, bias)
    tests = price_tests(products, choice.rule, noise, sd, rules, case.cross)
    ladder = candidate_prices(products.price, rules.max_change)
    found = Category(case, choice.price, tests, np.zeros(len(products)))
    gains = np.where(np.isfinite(ladder), case.gains(ladder, found.worth), np.nan)
    return replace(found, best=np.nanmax(gains, axis=1))


def assortment(seed: int, rules: PricingSettings) -> list[Category]:
    """Fit one set's categories."""

    def follows(correlation: float, number: int) -> tuple[Market, Market]:
        how = Confounding(correlation=correlation, cost_share=0.0, randomized=0.0)
        one, other = twins([seed, number], PRODUCTS, WEEKS, how)
        return one.market, other.market

    markets = [DEPARTURES["base"](np.random.default_rng(seed), PRODUCTS, WEEKS)]
    markets += [*follows(0.6, 1), follows(0.3, 2)[0]]
    return [category(market, seed + number, rules) for number, market in enumerate(markets)]


def measure(seed: int, chosen: int, at_random: int, rules: PricingSettings) -> dict[str, float]:
    """Regret of one assortment before tests, and after those of each choice."""
    found, rng = assortment(seed, rules), np.random.default_rng([seed, 9])
    ends = np.cumsum([len(one.price) for one in found])[:-1]
    best = sum(one.best.sum() for one in found)
    worth = np.concatenate([one.tests.gain_per_period_of_testing for one in found])
    periods = np.concatenate([one.tests.periods for one in found])
    revenue = np.concatenate([one.case.products.price * one.case.products.units for one in found])
    blocked = np.concatenate([one.case.products.confounded for one in found])
    n = len(worth)

    def after_tests(one: Category, tested: np.ndarray) -> np.ndarray:
        return one.after(tested, rules, rng)

    def first(values: np.ndarray, many: int) -> np.ndarray:
        return np.isin(np.arange(n), np.argsort(-values, kind="stable")[:many])

    def regret(some: np.ndarray, price: Callable[[Category, np.ndarray], np.ndarray] = after_tests) -> float:
        gained = sum(
            one.gain(price(one, part) if part.any() else one.price)
            for one, part in zip(found, np.split(some, ends), strict=True)
        )
        return float(1.0 - gained / best)

    named = first(worth, chosen)
    return {
        "before": regret(np.zeros(n, bool)),
        f"{chosen} named": np.mean([regret(named) for _ in range(DRAWS)]),
        "they unblocked": regret(named, lambda one, part: one.unblocked(part, rules, one.tests.sd_now)),
        "with posterior's sd": regret(
            named, lambda one, part: one.unblocked(part, rules, one.case.products.elasticity_sd)
        ),
        f"{chosen} of blocked": np.mean(
            [regret(first(np.where(blocked, rng.random(n), -1.0), chosen) & blocked) for _ in range(DRAWS)]
        ),
        f"{at_random} random": np.mean([regret(first(rng.random(n), at_random)) for _ in range(DRAWS)]),
        f"{chosen} random": np.mean([regret(first(rng.random(n), chosen)) for _ in range(DRAWS)]),
        f"{chosen} by revenue": np.mean([regret(first(revenue, chosen)) for _ in range(DRAWS)]),
        "all": np.mean([regret(np.ones(n, bool)) for _ in range(DRAWS)]),
        "periods named": periods[named].sum(),
        "periods random": periods.mean() * at_random,
        "named of blocked": (named & blocked).sum(),
        "blocked": blocked.sum(),
        "follow demand found": np.mean([one.case.products.confounded[0] for one in found]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=12, help="assortments")
    parser.add_argument("--seed", type=int, default=100, help="of the first set")
    parser.add_argument("--chosen", type=int, default=20, help="tests named first")
    parser.add_argument("--random", type=int, default=60, help="tests drawn at random")
    arguments = parser.parse_args()
    rules, rows = PricingSettings(), []
    for seed in range(arguments.seed, arguments.seed + arguments.sets):
        rows.append(measure(seed, arguments.chosen, arguments.random, rules))
        print(pd.Series(rows[-1], name=seed).round(3).to_dict(), flush=True)
    print(pd.DataFrame(rows).mean().round(3).to_string())


if __name__ == "__main__":
    main()
