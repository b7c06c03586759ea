"""The data-generating process with known elasticities: sales of many categories, drawn from the model.

Prices look like a grocer's: every product has a regular price that changes now and then, and promotion
weeks at a discount, shared in part by the category.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.options import Likelihood
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales

FIRST_PERIOD = np.datetime64("2023-01-02")  # a Monday


@dataclass(frozen=True)
class Truth:
    """The parameters that sales were drawn from, in the model's notation.

    Attributes
    ----------
    product : array of str, shape (n,)
        Product codes.
    category : array of str, shape (n,)
        Category of each product.
    elasticity : array, shape (n,)
        beta_i.
    level : array, shape (n,)
        delta_i, log units a period at the product's mean log price.
    dispersion : array, shape (n,)
        r_i; infinite for Poisson.
    category_name : array of str, shape (C,)
    category_elasticity : array, shape (C,)
        beta_c.
    control_effect : array, shape (C, K)
        alpha.
    period_effect : array, shape (C, T)
        gamma.
    """

    product: np.ndarray
    category: np.ndarray
    elasticity: np.ndarray
    level: np.ndarray
    dispersion: np.ndarray
    category_name: np.ndarray
    category_elasticity: np.ndarray
    control_effect: np.ndarray
    period_effect: np.ndarray


@dataclass(frozen=True)
class Simulation:
    """What to simulate.

    Attributes
    ----------
    products, weeks, categories : int
        Products in all; spread evenly over the categories.
    likelihood : {'negative_binomial', 'poisson'}
    global_elasticity, category_spread, product_spread : float
        beta_g, tau_c and tau.
    level_mean, level_spread : float
        delta_c and sigma_delta: 2 is 7 units a week.
    period_spread : float
        sigma_gamma.
    log_dispersion_mean, log_dispersion_spread : float
        mu_r and s_r.
    control_effects : tuple of float
        alpha of as many controls, the same in every category; controls are shares, up in promotion weeks.
    observed : float
        Share of product-weeks that are in the data at all.
    drop_zeros : bool
        Whether product-weeks without sales are left out, as many files do.
    """

    products: int = 120
    weeks: int = 104
    categories: int = 4
    likelihood: Likelihood = "negative_binomial"
    global_elasticity: float = -2.0
    category_spread: float = 0.5
    product_spread: float = 0.5
    level_mean: float = 2.5
    level_spread: float = 1.0
    period_spread: float = 0.2
    log_dispersion_mean: float = 2.0
    log_dispersion_spread: float = 0.5
    control_effects: tuple[float, ...] = ()
    observed: float = 1.0
    drop_zeros: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.categories <= self.products:
            raise ValueError(
                f"{self.categories} categories of {self.products} products; give 1 to as many as products"
            )
        if self.weeks < 1:
            raise ValueError(f"{self.weeks} weeks; give at least 1")


def simulate(simulation: Simulation, seed: int = 0) -> tuple[dict[str, np.ndarray], Truth]:
    """Draw all sales at once.

    Returns
    -------
    sales : dict of column name to array of shape (rows,)
        category, product, week (datetime64[D]), units, price, and control_1 .. control_K.
    truth : Truth
    """
    parts = list(simulate_categories(simulation, seed))
    columns = [sales for sales, _ in parts]
    sales = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    return sales, _together([truth for _, truth in parts])


def simulate_categories(
    simulation: Simulation, seed: int = 0
) -> Iterator[tuple[dict[str, np.ndarray], Truth]]:
    """Draw sales one category after the other, so that a million products fit in memory.

    A category's draws depend on the seed and its own number alone. Yields what `simulate` returns.
    """
    for c, (name, codes) in enumerate(categories_of_products(simulation)):
        yield _category(simulation, name, codes, np.random.default_rng([seed, c]))


def categories_of_products(simulation: Simulation) -> Iterator[tuple[str, np.ndarray]]:
    """Name each category, and the codes of its products."""
    sizes = np.full(simulation.categories, simulation.products // simulation.categories)
    sizes[: simulation.products % simulation.categories] += 1
    first = np.concatenate([[0], np.cumsum(sizes)])
    width = len(str(simulation.categories)), len(str(simulation.products))
    for c, size in enumerate(sizes):
        name = f"category_{c + 1:0{width[0]}d}"
        codes = np.char.add(
            "p", np.char.zfill(np.arange(first[c] + 1, first[c] + size + 1).astype(str), width[1])
        )
        yield name, codes


def simulated_panels(simulation: Simulation, seed: int = 0) -> tuple[list[Panel], Truth]:
    """Draw sales as model inputs, one panel a category; zeros dropped means zero-truncated panels."""
    names = [f"control_{k + 1}" for k in range(len(simulation.control_effects))]
    panels, truths = [], []
    for sales, truth in simulate_categories(simulation, seed):
        truths.append(truth)
        panels.append(
            panel_from_sales(
                CategorySales(
                    str(truth.category_name[0]),
                    sales["product"],
                    sales["week"],
                    sales["units"],
                    sales["price"],
                    {name: sales[name] for name in names},
                    missing_periods="truncated" if simulation.drop_zeros else "unobserved",
                )
            )
        )
    return panels, _together(truths)


def _together(truths: Sequence[Truth]) -> Truth:
    fields = Truth.__dataclass_fields__
    return Truth(**{name: np.concatenate([getattr(truth, name) for truth in truths]) for name in fields})


def simulated_prices(rng: np.random.Generator, products: int, weeks: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw prices and whether a week is a promotion, each of shape (products, weeks).

    Regular prices change by some 5% about twice a year; a product is promoted in about a sixth of the
    weeks, oftener when its category is, by 10% to 35%.
    """
    regular = rng.normal(1.0, 0.6, (products, 1))
    changes = rng.normal(0.0, 0.05, (products, weeks)) * (rng.random((products, weeks)) < 1 / 26)
    in_season = rng.random(weeks) < 0.25
    promoted = rng.random((products, weeks)) < np.where(in_season, 0.35, 0.1)
    discount = rng.uniform(0.10, 0.35, (products, weeks))
    log_price = regular + np.cumsum(changes, axis=1) + np.where(promoted, np.log1p(-discount), 0.0)
    return np.maximum(np.round(np.exp(log_price), 2), 0.01), promoted


def _category(
    simulation: Simulation, name: str, codes: np.ndarray, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], Truth]:
    n, T, K = len(codes), simulation.weeks, len(simulation.control_effects)
    price, promoted = simulated_prices(rng, n, T)
    log_price = np.log(price)
    category_elasticity = rng.normal(simulation.global_elasticity, simulation.category_spread)
    elasticity = rng.normal(category_elasticity, simulation.product_spread, n)
    level = rng.normal(simulation.level_mean, simulation.level_spread, n)
    period_effect = rng.normal(0.0, simulation.period_spread, T)
    controls = np.clip(
        rng.normal(0.1, 0.1, (n, T, K)) + 0.5 * promoted[..., None] * rng.random((n, T, K)), 0, 1
    )
    effects = np.asarray(simulation.control_effects, float)
    eta = level[:, None] + elasticity[:, None] * (log_price - log_price.mean(axis=1, keepdims=True))
    mean = np.exp(np.minimum(eta + period_effect + controls @ effects, 30.0))
    if simulation.likelihood == "poisson":
        dispersion = np.full(n, np.inf)
    else:
        dispersion = np.exp(rng.normal(simulation.log_dispersion_mean, simulation.log_dispersion_spread, n))
        mean = mean * rng.gamma(dispersion[:, None], 1.0 / dispersion[:, None], mean.shape)
    units = rng.poisson(mean)
    kept = rng.random(units.shape) < simulation.observed
    if simulation.drop_zeros:
        kept &= units > 0
    row, week = np.nonzero(kept)
    sales = {
        "category": np.full(len(row), name),
        "product": codes[row],
        "week": FIRST_PERIOD + 7 * week,
        "units": units[kept].astype(np.int64),
        "price": price[kept],
    } | {f"control_{k + 1}": controls[kept][:, k] for k in range(K)}
    truth = Truth(
        product=codes,
        category=np.full(n, name),
        elasticity=elasticity,
        level=level,
        dispersion=dispersion,
        category_name=np.array([name]),
        category_elasticity=np.array([category_elasticity]),
        control_effect=effects[None],
        period_effect=period_effect[None],
    )
    return sales, truth
