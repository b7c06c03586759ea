"""The No-U-Turn sampler where rows are products in zones: the reference for small categories."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import numpy as np
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS, init_to_value

from elasticity_assets.inference import season
from elasticity_assets.inference.density.model import Sales
from elasticity_assets.inference.density.zones import ZonedModel, Zoning, sales_and_zoning
from elasticity_assets.inference.options import Likelihood, NutsOptions
from elasticity_assets.inference.priors import Priors, Zones
from elasticity_assets.inference.zoned_panel import ZonedPanel


@dataclass(frozen=True)
class ZonedDraws:
    """Draws from one category's posterior; leading axes (chains, samples).

    Attributes
    ----------
    category : array, shape (chains, samples)
        beta_c.
    product, zone, row : arrays, shapes (chains, samples, n), (..., Z) and (..., R)
        beta_i, b_z and beta_iz.
    tau, row_spread, zone_spread : arrays, shape (chains, samples), or () where known
    divergences : int
    """

    category: np.ndarray
    product: np.ndarray
    zone: np.ndarray
    row: np.ndarray
    tau: np.ndarray
    row_spread: np.ndarray
    zone_spread: np.ndarray
    divergences: int

    def r_hat(self) -> float:
        """Largest split R-hat of beta_c and all elasticities of products, zones and rows."""
        return float(np.max(split_gelman_rubin(self._watched())))

    def effective_sample_size(self) -> float:
        """Least effective sample size of the same."""
        return float(np.min(effective_sample_size(self._watched())))

    def _watched(self) -> np.ndarray:
        return np.concatenate([self.category[..., None], self.product, self.zone, self.row], axis=-1)


def sample(
    panel: ZonedPanel, priors: Priors, zones: Zones, likelihood: Likelihood, options: NutsOptions
) -> ZonedDraws:
    """Draw from one category's posterior.

    Raises
    ------
    ValueError
        If the category has more than `options.max_products` rows.
    """
    if panel.n_rows > options.max_products:
        raise ValueError(
            f"category {panel.rows.category!r} has {panel.n_rows} products in zones, above max_products "
            f"{options.max_products} of NUTS; use engine natural_gradient, or raise it and wait for hours"
        )
    priors = priors.over(season.length(panel.rows.period))
    model = ZonedModel(priors, zones, likelihood, panel.rows.zero_truncated)
    sales, zoning = sales_and_zoning(panel)
    level = float(np.log(np.maximum(panel.rows.units[panel.rows.observed].mean(), 0.5)))
    drawn, diverging = _run_chains(
        model, replace(options, seed=0, max_products=0), sales, zoning, level, jax.random.key(options.seed)
    )
    drawn = {name: np.asarray(value) for name, value in drawn.items()}

    def scale(name: str, prior: object) -> np.ndarray:
        return drawn[name] if name in drawn else np.asarray(getattr(prior, "value", np.nan))

    return ZonedDraws(
        category=drawn["beta_c"],
        product=drawn["product_elasticity"],
        zone=drawn["zone_elasticity"],
        row=drawn["row_elasticity"][..., : panel.n_rows],
        tau=scale("tau", priors.product_spread),
        row_spread=scale("tau_z", zones.row_spread),
        zone_spread=scale("sigma_b", zones.zone_spread),
        divergences=int(np.asarray(diverging).sum()),
    )


@partial(jax.jit, static_argnames=("model", "options"))
def _run_chains(
    model: ZonedModel, options: NutsOptions, sales: Sales, zoning: Zoning, level: jax.Array, key: jax.Array
) -> tuple[dict[str, jax.Array], jax.Array]:
    start = init_to_value(values={"delta_c": level, "beta_c": model.priors.category_mean})
    sampler = MCMC(
        NUTS(model, target_accept_prob=options.target_accept, init_strategy=start),
        num_warmup=options.warmup,
        num_samples=options.samples,
        num_chains=options.chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    sampler.run(key, sales, zoning, extra_fields=("diverging",))
    return sampler.get_samples(group_by_chain=True), sampler.get_extra_fields()["diverging"]
