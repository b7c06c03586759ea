"""The loop that a reader of the article would run, written out as the baseline.

Flat arrays and gathers, an AutoNormal guide, RenyiELBO with four particles, adamw with a decaying rate,
log price not centred, every scale fixed: the hierarchical Poisson model of "10,000x Faster Bayesian
Inference: Multi-GPU SVI vs. Traditional MCMC". It shares no code with the engines it is held against.
"""

import time
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from jax import lax
from numpyro.infer import SVI, RenyiELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.optim import optax_to_numpyro


@dataclass(frozen=True)
class FlatSales:
    """Sales as flat arrays, one entry an observed product-period.

    Attributes
    ----------
    units, log_price : float32 arrays, shape (n_obs,)
    product, category_period : int arrays, shape (n_obs,)
        Index of the product, and of the category-by-period effect.
    category : int array, shape (n_products,)
        The products' categories.
    """

    units: np.ndarray
    log_price: np.ndarray
    product: np.ndarray
    category_period: np.ndarray
    category: np.ndarray


def flatten(panels: list) -> FlatSales:
    """Flatten panels, one a category, into one table of observations."""
    parts, products, cells = [], 0, 0
    for panel in panels:
        row, column = np.nonzero(panel.observed)
        parts.append((panel.units[row, column], panel.log_price[row, column], row + products, column + cells))
        products, cells = products + panel.n_products, cells + panel.n_periods
    units, log_price, product, category_period = (np.concatenate(part) for part in zip(*parts, strict=True))
    category = np.repeat(np.arange(len(panels)), [panel.n_products for panel in panels])
    return FlatSales(units, log_price, product, category_period, category)


def article_model(
    units: jax.Array,
    log_price: jax.Array,
    product: jax.Array,
    category_period: jax.Array,
    category: jax.Array,
) -> None:
    """Write the article's demand model as a NumPyro model."""
    beta_global = numpyro.sample("beta_global", dist.Normal(-2.0, 1.0))
    with numpyro.plate("categories", int(category.max()) + 1):
        beta_category = numpyro.sample("beta_category", dist.Normal(beta_global, 1.0))
    with numpyro.plate("products", category.shape[0]):
        beta = numpyro.sample("beta", dist.Normal(beta_category[category], 2.0))
        level = numpyro.sample("level", dist.Normal(0.0, 3.0))
    with numpyro.plate("category_periods", int(category_period.max()) + 1):
        effect = numpyro.sample("effect", dist.Normal(0.0, 3.0))
    eta = level[product] + beta[product] * log_price + effect[category_period]
    with numpyro.plate("observations", units.shape[0]):
        numpyro.sample("units", dist.Poisson(jnp.exp(jnp.clip(eta, -4.0, 20.0))), obs=units)


class ArticleLoop:
    """The article's optimizer loop, one jitted step at a time as `SVI.run` does it."""

    def __init__(self, sales: FlatSales, seed: int = 0) -> None:
        rate = optax.exponential_decay(0.01, 1000, 0.99, end_value=1e-5)
        # Shapes of plates must be known while tracing, so indices are closed over, not passed.
        index = {
            "product": sales.product,
            "category_period": sales.category_period,
            "category": sales.category,
        }

        def model(units: jax.Array, log_price: jax.Array) -> None:
            article_model(units, log_price, **index)

        self._guide = AutoNormal(model)
        self._svi = SVI(model, self._guide, optax_to_numpyro(optax.adamw(rate)), RenyiELBO(num_particles=4))
        self._data = (jnp.asarray(sales.units), jnp.asarray(sales.log_price))
        self._state = self._svi.init(jax.random.key(seed), *self._data)
        self.steps_done = 0

        def advance(state, steps, data):
            return lax.fori_loop(0, steps, lambda _, s: self._svi.update(s, *data)[0], state)

        self._advance = jax.jit(advance)

    def run(self, steps: int) -> float:
        """Take `steps` steps; returns the seconds they took, compilation included."""
        start = time.perf_counter()
        self._state = jax.block_until_ready(self._advance(self._state, steps, self._data))
        self.steps_done += steps
        return time.perf_counter() - start

    def elasticity(self) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and sds of the products' elasticities as they stand."""
        params = self._svi.get_params(self._state)
        return np.asarray(params["beta_auto_loc"]), np.asarray(params["beta_auto_scale"])
