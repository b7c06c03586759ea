"""Markets whose demand departs from the model's simplest, one departure at a time, with known elasticities.

What retail sales do beside responding to prices: demand that drifts, seasons, substitutes, promotions that borrow from
later weeks, prices that follow demand. `DEPARTURES` has each by its name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from elasticity_assets.inference.simulate import (
    FIRST_PERIOD,
    Simulation,
    categories_of_products,
    simulated_prices,
)

YEAR = 52  # weeks
IN_A_GROUP = 4  # products, of substitutes


@dataclass(frozen=True)
class Market:
    """What one category's sales are drawn from.

    Attributes
    ----------
    log_price : array, shape (n, T)
    demand : array, shape (n, T)
        Log expected units, but for what the product's own price does in its week.
    category_elasticity : float
        Around which the products' lie.
    elasticity : array, shape (n,)
        To the product's price in the same week, at and below its usual one.
    promoted : bool array, shape (n, T)
    noise : Generator
        For the sales.
    later : array, shape (n,)
        What a week's price does to the weeks after it, added up: with `elasticity`, what a change that lasts does.
    group : array of str, shape (n,)
        Of substitutes; empty where there are none.
    cross_elasticity : array, shape (n,)
        To the price of each other product of the group.
    """

    log_price: np.ndarray
    demand: np.ndarray
    category_elasticity: float
    elasticity: np.ndarray
    promoted: np.ndarray
    noise: np.random.Generator
    later: np.ndarray
    group: np.ndarray
    cross_elasticity: np.ndarray

    @property
    def centred(self) -> np.ndarray:
        """Log price less each product's mean, shape (n, T)."""
        return self.log_price - self.log_price.mean(axis=1, keepdims=True)

    @property
    def long_run(self) -> np.ndarray:
        """Elasticity to a price change that lasts, shape (n,)."""
        return self.elasticity + self.later

    def units(self) -> np.ndarray:
        """Draw the units sold, shape (n, T)."""
        n, T = self.log_price.shape
        dispersion = np.exp(self.noise.normal(2.0, 0.5, (n, 1)))
        mean = np.exp(np.minimum(self.demand + self.elasticity[:, None] * self.centred, 30.0))
        return self.noise.poisson(mean * self.noise.gamma(dispersion, 1.0 / dispersion, (n, T)))


def base(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Nothing unusual: the model's own sales."""
    price, promoted = simulated_prices(rng, n, weeks)
    centre = rng.normal(-2.0, 0.5)
    elasticity = rng.normal(centre, 0.5, n)
    demand = rng.normal(2.5, 1.0, (n, 1)) + rng.normal(0.0, 0.2, weeks)
    none, no_group = np.zeros(n), np.full(n, "")
    return Market(np.log(price), demand, centre, elasticity, promoted, rng, none, no_group, none)


def autoregression(rng: np.random.Generator, shape: tuple[int, ...], persistence: float) -> np.ndarray:
    """Stationary, of standard deviation 1, along the last axis."""
    values = rng.normal(size=shape)
    for t in range(1, shape[-1]):
        values[..., t] = persistence * values[..., t - 1] + np.sqrt(1 - persistence**2) * values[..., t]
    return values


def prices_that_stay(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Log prices that change by some 12% every quarter."""
    return 1.0 + np.cumsum(rng.normal(0.0, 0.12, shape) * (rng.random(shape) < 1 / 13), axis=1)


def slow_demand(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Demand of each product drifts, under promotions that come and go."""
    market = base(rng, n, weeks)
    return replace(market, demand=market.demand + 0.4 * autoregression(rng, market.log_price.shape, 0.8))


def slow_demand_prices_stay(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Demand of each product drifts, under prices that stay for a quarter."""
    market = slow_demand(rng, n, weeks)
    return replace(market, log_price=prices_that_stay(rng, market.log_price.shape))


def ramp_up(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Products sell better from month to month, and get cheaper later on."""
    market = base(rng, n, weeks)
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


def season_unrelated(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Products have seasons, and prices know nothing of them."""
    market = base(rng, n, weeks)
    return replace(market, demand=market.demand + season(rng, market.log_price.shape))


def _season_priced(rng: np.random.Generator, n: int, weeks: int, change: float) -> Market:
    market = base(rng, n, weeks)
    wave = season(rng, market.log_price.shape)
    high = rng.random(wave.shape) < np.where(wave > 0.25, 0.5, 0.06)
    moved = np.where(high, change * rng.uniform(0.5, 1.5, wave.shape), 0.0)
    regular = 1.0 + rng.normal(0.0, 0.03, wave.shape)
    return replace(market, log_price=regular + moved, demand=market.demand + wave, promoted=high)


def season_promoted(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Products are promoted in their season."""
    return _season_priced(rng, n, weeks, -0.22)


def season_dear(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Products are dearer in their season."""
    return _season_priced(rng, n, weeks, 0.22)


def _of_groups(market: Market, rng: np.random.Generator, often: float | np.ndarray, cross: float) -> Market:
    """Make substitutes of neighbouring products, and promote each group together.

    Parameters
    ----------
    market : Market
    rng : Generator
    often : float or array, shape (groups, T)
        Probability that a group is promoted in a week.
    cross : float
        What one gains from the mean log price of the group's others.
    """
    n, weeks = market.log_price.shape
    group = np.arange(n) // IN_A_GROUP
    n_groups = group[-1] + 1
    together = rng.random((n_groups, weeks)) < often
    discount = rng.uniform(0.1, 0.35, (n, weeks))
    promoted = together[group] & (rng.random((n, weeks)) < 0.8)
    log_price = 1.0 + rng.normal(0.0, 0.03, (n, weeks)) + np.where(promoted, np.log1p(-discount), 0.0)
    n_others = (np.bincount(group)[group] - 1)[:, None]
    market = replace(
        market,
        log_price=log_price,
        promoted=promoted,
        group=np.char.add("group ", group.astype(str)),
        cross_elasticity=np.where(n_others > 0, cross / np.maximum(n_others, 1), 0.0)[:, 0],
    )
    of_group = np.stack([market.centred[group == own].sum(axis=0) for own in range(n_groups)])[group]
    return replace(
        market, demand=market.demand + cross * (of_group - market.centred) / np.maximum(n_others, 1)
    )


def substitutes_half(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Promotions are of groups of four together; what one gains from the others' mean price is 0.5."""
    return _of_groups(base(rng, n, weeks), rng, 0.2, 0.5)


def substitutes_one(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Promotions are of groups of four together; what one gains from the others' mean price is 1."""
    return _of_groups(base(rng, n, weeks), rng, 0.2, 1.0)


def _stocked_up(market: Market) -> Market:
    """Let buyers take in promotions what they do not buy in the four weeks after."""
    later = np.zeros_like(market.log_price)
    for lag, share in enumerate((0.4, 0.25, 0.15, 0.1), start=1):
        later[:, lag:] += share * market.centred[:, :-lag]
    borrowed = -0.6 * market.elasticity
    return replace(market, demand=market.demand + borrowed[:, None] * later, later=0.9 * borrowed)


def stockpiling(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """In promotions people buy what they do not buy in the four weeks after."""
    return _stocked_up(base(rng, n, weeks))


def drift_together(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Prices and demand of the category drift together."""
    market = base(rng, n, weeks)
    drift = autoregression(rng, (weeks,), 0.95)
    return replace(market, log_price=market.log_price + 0.12 * drift, demand=market.demand - 0.3 * drift)


def all_at_once(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Demand drifts, substitutes are promoted together and in season, and people stock up in promotions."""
    market = base(rng, n, weeks)
    wave = season(rng, (-(-n // IN_A_GROUP), weeks))
    market = _of_groups(market, rng, np.where(wave > 0.25, 0.4, 0.06), 0.5)
    drift = 0.4 * autoregression(rng, market.log_price.shape, 0.95)
    of_product = wave[np.arange(n) // IN_A_GROUP]
    return _stocked_up(replace(market, demand=market.demand + drift + of_product))


def _follows(rng: np.random.Generator, n: int, weeks: int, correlation: float) -> Market:
    market = base(rng, n, weeks)
    shock = autoregression(rng, market.log_price.shape, 0.8)
    own = autoregression(rng, market.log_price.shape, 0.8)
    log_price = 1.0 + 0.15 * (correlation * shock + np.sqrt(1 - correlation**2) * own)
    return replace(market, log_price=log_price, demand=market.demand + 0.3 * shock)


def follows_demand_little(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Prices follow demand, with correlation 0.3."""
    return _follows(rng, n, weeks, 0.3)


def follows_demand_much(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Prices follow demand, with correlation 0.6."""
    return _follows(rng, n, weeks, 0.6)


def hidden_display(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """On 60% of promotions there is a display, which the files do not show."""
    market = base(rng, n, weeks)
    shown = market.promoted & (rng.random(market.promoted.shape) < 0.6)
    return replace(market, demand=market.demand + 0.4 * shown)


def stock_outs(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """In 30% of promotions the product runs out after some days."""
    market = base(rng, n, weeks)
    out = market.promoted & (rng.random(market.promoted.shape) < 0.3)
    left = np.where(out, rng.uniform(0.2, 0.7, out.shape), 1.0)
    return replace(market, demand=market.demand + np.log(left))


def kink(rng: np.random.Generator, n: int, weeks: int) -> Market:
    """Prices above the usual one hurt twice as much as prices below it help."""
    market = base(rng, n, weeks)
    dearer = np.maximum(market.log_price - np.median(market.log_price, axis=1, keepdims=True), 0.0)
    return replace(market, demand=market.demand + market.elasticity[:, None] * dearer)


DEPARTURES: dict[str, Callable[[np.random.Generator, int, int], Market]] = {
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
        all_at_once,
        follows_demand_little,
        follows_demand_much,
        hidden_display,
        stock_outs,
        kink,
    )
}
"""By name: takes a generator, the number of products and that of weeks."""


def simulate_departure(
    simulation: Simulation, departure: str, seed: int = 0
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Draw sales of one departure, one category after the other.

    A category's draws depend on the seed and its own number alone.

    Parameters
    ----------
    simulation : Simulation
        Its products, weeks and categories count.
    departure : str
        One of DEPARTURES.
    seed : int

    Yields
    ------
    sales : dict of column name to array of shape (rows,)
        category, product, week (datetime64[D]), units, price, and substitutes where there are groups of them.
    truth : dict of column name to array of shape (n,)
        category, product, elasticity, elasticity_long_run, cross_elasticity (to each other product of its group) and
        category_elasticity.
    """
    weeks = simulation.weeks
    for c, (name, codes) in enumerate(categories_of_products(simulation)):
        n = len(codes)
        market = DEPARTURES[departure](np.random.default_rng([seed, c]), n, weeks)
        row, week = np.divmod(np.arange(n * weeks), weeks)
        sales = {
            "category": np.full(n * weeks, name),
            "product": codes[row],
            "week": FIRST_PERIOD + 7 * week,
            "units": market.units().ravel().astype(np.int64),
            "price": np.maximum(np.exp(market.log_price).round(2), 0.01).ravel(),
        }
        if (market.group != "").any():
            sales["substitutes"] = market.group[row]
        truth = {
            "category": np.full(n, name),
            "product": codes,
            "elasticity": market.elasticity,
            "elasticity_long_run": market.long_run,
            "cross_elasticity": market.cross_elasticity,
            "category_elasticity": np.full(n, market.category_elasticity),
        }
        yield sales, truth
