"""Twin markets: the same demand, once under prices that follow it and once under prices that do not.

What confounding does to an elasticity is seen by holding the one against the other. Demand drifts; a price has a part
of its own, of promotions, one of its product's cost, a valid instrument, and in the one twin a part that goes with
demand. In some periods of both, prices are drawn at random.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from elasticity_assets.inference.departures import Market, autoregression, base
from elasticity_assets.inference.simulate import FIRST_PERIOD, Simulation, categories_of_products

_PRICE_SD, _SHOCK_SD = 0.15, 0.3  # log price, log units


@dataclass(frozen=True)
class Confounding:
    """How prices come about.

    Attributes
    ----------
    correlation : float
        Of log prices with demand's drift, where prices follow it; in (-1, 1).
    persistence : float
        Correlation of demand's drift in neighbouring weeks.
    cost_share : float
        Correlation of log prices with log costs, the part that follows demand apart: .6 makes a strong instrument, .05
        a weak one.
    randomized : float
        Share of the weeks whose prices are drawn at random.
    width : float
        Sd of those log prices over that of the others.
    """

    correlation: float = 0.6
    persistence: float = 0.8
    cost_share: float = 0.6
    randomized: float = 0.1
    width: float = 1.0


@dataclass(frozen=True)
class Twin:
    """One of two markets with the same demand.

    Attributes
    ----------
    market : Market
    shock : array, shape (n, T)
        Demand's drift, log units: the confounder.
    log_cost : array, shape (n, T)
    randomized : bool array, shape (T,)
        Weeks whose prices were drawn at random.
    """

    market: Market
    shock: np.ndarray
    log_cost: np.ndarray
    randomized: np.ndarray


def twins(seed: int | list[int], n: int, weeks: int, how: Confounding) -> tuple[Twin, Twin]:
    """Draw a market whose prices follow demand, and its twin whose prices do not.

    Parameters
    ----------
    seed : int or list of int
    n, weeks : int
    how : Confounding

    Returns
    -------
    following, twin : Twin
    """
    first, second = (_twin(np.random.default_rng(seed), n, weeks, how, c) for c in (how.correlation, 0.0))
    return first, second


def _twin(rng: np.random.Generator, n: int, weeks: int, how: Confounding, correlation: float) -> Twin:
    market = base(rng, n, weeks)
    shape = market.log_price.shape
    drift, cost = autoregression(rng, shape, how.persistence), autoregression(rng, shape, 0.9)
    promotions = market.centred / np.maximum(market.centred.std(axis=1, keepdims=True), 1e-9)
    rest = how.cost_share * cost + np.sqrt(1.0 - how.cost_share**2) * promotions
    moves = correlation * drift + np.sqrt(1.0 - correlation**2) * rest
    randomized = rng.random(weeks) < how.randomized
    moves = np.where(randomized, how.width * rng.normal(size=shape), moves)
    shock = _SHOCK_SD * drift
    market = replace(market, log_price=1.0 + _PRICE_SD * moves, demand=market.demand + shock)
    return Twin(market, shock, 0.5 + _PRICE_SD * cost, randomized)


def simulate_twins(
    simulation: Simulation, how: Confounding, seed: int = 0
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Draw sales of twin markets, a category for each, one after the other.

    Parameters
    ----------
    simulation : Simulation
        Its products, weeks and categories count; there are twice as many categories.
    how : Confounding
    seed : int

    Yields
    ------
    sales : dict of column name to array of shape (rows,)
        category, product, week (datetime64[D]), units, price, cost and randomized (1 or 0).
    truth : dict of column name to array of shape (n,)
        category, product, elasticity, category_elasticity, and correlation of prices with demand.
    """
    weeks = simulation.weeks
    for c, (name, codes) in enumerate(categories_of_products(simulation)):
        n = len(codes)
        row, week = np.divmod(np.arange(n * weeks), weeks)
        both = twins([seed, c], n, weeks, how)
        # Products are of one category each.
        named = (
            (f"{name}, prices follow demand", codes, how.correlation),
            (f"{name}, twin", np.char.add(codes, "-twin"), 0.0),
        )
        for twin, (category, product, correlation) in zip(both, named, strict=True):
            market = twin.market
            sales = {
                "category": np.full(n * weeks, category),
                "product": product[row],
                "week": FIRST_PERIOD + 7 * week,
                "units": market.units().ravel().astype(np.int64),
                "price": np.maximum(np.exp(market.log_price).round(2), 0.01).ravel(),
                "cost": np.exp(twin.log_cost).round(3).ravel(),
                "randomized": twin.randomized[week].astype(np.int64),
            }
            truth = {
                "category": np.full(n, category),
                "product": product,
                "elasticity": market.elasticity,
                "category_elasticity": np.full(n, market.category_elasticity),
                "correlation": np.full(n, correlation),
            }
            yield sales, truth
