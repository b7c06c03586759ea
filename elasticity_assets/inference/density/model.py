"""The demand model, once, in NumPyro: every engine fits this density.

Rows are products, columns are periods. A model holds one category, or several at once (C > 1) under a
common elasticity; `member` says which category a row belongs to, so that category effects reach their
products by a product of matrices and not by gathers. Padding takes no part: its latent variables are
independent standard normals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from elasticity_assets.inference.density import likelihood as density
from elasticity_assets.inference.devices import AXIS
from elasticity_assets.inference.options import Likelihood
from elasticity_assets.inference.panel import Panel, padded_size
from elasticity_assets.inference.priors import Fixed, HalfNormal, Priors, Season, SlowDemand
from elasticity_assets.inference.season import sine_and_cosine

PRODUCT_SITES = ("beta", "delta", "log_r")  # one value a row
SCALE_SITES = ("tau", "tau_c", "sigma_delta", "sigma_gamma", "s_r", "s_u", "sigma_w")  # positive

SHARED = ("period", "season", "category_experiment")  # of `Sales`, without rows

Array = Any  # of jax or NumPy


class Sales(NamedTuple):
    """What the model reads: N rows, W columns, K controls, C categories.

    Attributes
    ----------
    units, log_price : float arrays, shape (N, W)
        Log price is centred by product if the priors say so, and 0 where not observed.
    controls : float array, shape (N, W, K)
    weight : float array, shape (N, W)
        How often each cell counts; 0 where not observed.
    log_base : float array, shape (N,)
        Weighted sum over the row of the log likelihood's parameter-free part.
    member : float array, shape (N, C)
        1 where the row belongs to the category; a padded row is all zeros.
    period : bool array, shape (C, W)
        Whether the category has the period.
    season : float array, shape (2, W)
        Sine and cosine of the year.
    experiment : float array, shape (N, 2)
        What was found elsewhere of the row's elasticity, and its precision, 0 where nothing.
    category_experiment : float array, shape (C, 2)
        The same of the categories'.
    """

    units: Array
    log_price: Array
    controls: Array
    weight: Array
    log_base: Array
    member: Array
    period: Array
    season: Array
    experiment: Array
    category_experiment: Array


@dataclass(frozen=True)
class Model:
    """A choice of model; hashable, so that compiled code is found again.

    Attributes
    ----------
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    zero_truncated : bool
    joint : bool
        Whether the categories share beta_g and tau_c; if not, beta_c ~ N(category_mean, category_var).
    eta_bounds : (float, float) or None
        Where log expected units are cut off.
    rows_scale : float
        By how much the rows at hand stand for all (mini-batches).
    mesh : Mesh or None
        Devices that the rows are spread over; None for one.
    experiments : bool
        Whether results from elsewhere count; then all rows have to be at hand.
    """

    priors: Priors
    likelihood: Likelihood
    zero_truncated: bool = False
    joint: bool = False
    eta_bounds: tuple[float, float] | None = None
    rows_scale: float = 1.0
    mesh: Mesh | None = None
    experiments: bool = False

    def __call__(self, sales: Sales) -> None:
        """Declare the joint density of all latent variables and `sales`, as NumPyro sites."""
        priors = self.priors
        C = len(sales.period)
        K = sales.controls.shape[-1]
        if self.joint:
            beta_g = numpyro.sample("beta_g", dist.Normal(priors.global_mean, priors.global_sd))
            centre, spread = beta_g, _scale("tau_c", priors.category_spread)
        else:
            centre, spread = priors.category_mean, priors.category_var**0.5
        beta_c = numpyro.sample("beta_c", dist.Normal(centre, spread).expand([C]).to_event())
        tau = _scale("tau", priors.product_spread, C)
        delta_c = jnp.full(C, priors.level_mean)
        if priors.level_sd > 0:
            delta_c = numpyro.sample("delta_c", dist.Normal(delta_c, priors.level_sd).to_event())
        sigma_delta = _scale("sigma_delta", priors.level_spread, C)
        sigma_gamma = _scale("sigma_gamma", priors.period_spread, C)
        gamma = numpyro.sample("gamma", _normal(0.0, sigma_gamma[:, None], sales.period))
        alpha = jnp.zeros((C, K))
        if K:
            alpha = numpyro.sample("alpha", dist.Normal(alpha, priors.control_sd).to_event())
        if self.likelihood == "negative_binomial":
            mu_r = numpyro.sample(
                "mu_r",
                dist.Normal(priors.log_dispersion_mean, priors.log_dispersion_sd).expand([C]).to_event(),
            )
            s_r = _scale("s_r", priors.log_dispersion_spread, C)

        real = sales.member.sum(axis=1) > 0
        with numpyro.handlers.scale(scale=self.rows_scale):
            beta = numpyro.sample("beta", _normal(of_rows(sales, beta_c), of_rows(sales, tau), real))
            delta = numpyro.sample(
                "delta", _normal(of_rows(sales, delta_c), of_rows(sales, sigma_delta), real)
            )
            log_r = jnp.zeros_like(beta)
            if self.likelihood == "negative_binomial":
                log_r = numpyro.sample("log_r", _normal(of_rows(sales, mu_r), of_rows(sales, s_r), real))
            own = None if priors.slow_demand is None else _slow_demand(priors.slow_demand, sales, real)
            if priors.season is not None:
                own = _season(priors.season, sales, real) + (0.0 if own is None else own)
            numpyro.factor("units", self.log_likelihood(sales, beta, delta, log_r, gamma, alpha, own))
        if self.experiments:
            results = _found(beta, sales.experiment) + _found(beta_c, sales.category_experiment)
            numpyro.factor("experiments", results)

    def log_likelihood(
        self,
        sales: Sales,
        beta: jax.Array,
        delta: jax.Array,
        log_r: jax.Array,
        gamma: jax.Array,
        alpha: jax.Array,
        own: jax.Array | None = None,
    ) -> jax.Array:
        """Log likelihood of all cells by their weights, a scalar.

        Each device sums its own rows; only the sum and the gradients of `gamma` and `alpha` cross devices.

        Parameters
        ----------
        sales : Sales
        beta, delta, log_r : arrays, shape (N,)
        gamma : array, shape (C, W)
        alpha : array, shape (C, K)
        own : array, shape (N, W), optional
            Slow demand and season.
        """

        def of_cells(sales: Sales, rows: tuple[jax.Array, ...], shared: tuple[jax.Array, ...]) -> jax.Array:
            beta, delta, log_r, *own = rows
            eta = sum(own, linear_predictor(sales, beta, delta, *shared))
            cells = self._cell(sales, eta, log_r)
            return jnp.sum(jnp.where(sales.weight > 0, sales.weight * cells, 0.0))

        rows = (beta, delta, log_r) if own is None else (beta, delta, log_r, own)
        return self._sum(of_cells, sales, rows, (gamma, alpha))

    def expected_poisson(
        self, sales: Sales, mean: tuple[jax.Array, ...], var: tuple[jax.Array, ...]
    ) -> jax.Array:
        """Take the expected Poisson log likelihood of all cells, by their weights, under independent Gaussian effects.

        Parameters
        ----------
        sales : Sales
        mean, var : tuples of arrays
            Of beta and delta, shape (N,), gamma, shape (C, W), and alpha, shape (C, K).
        """
        return self._sum(_expected_poisson, sales, (*mean[:2], *var[:2]), (*mean[2:], *var[2:]))

    def _sum(
        self,
        of_cells: Callable[[Sales, tuple[jax.Array, ...], tuple[jax.Array, ...]], jax.Array],
        sales: Sales,
        rows: tuple[jax.Array, ...],
        shared: tuple[jax.Array, ...],
    ) -> jax.Array:
        """Add up the weighted cells on each device, then the devices."""

        def total(sales: Sales, rows: tuple[jax.Array, ...], shared: tuple[jax.Array, ...]) -> jax.Array:
            if self.mesh is not None:
                # Gradients of shared effects, each device's own until here, are then added up.
                shared = jax.tree.map(lambda part: jax.lax.pcast(part, AXIS, to="varying"), shared)
            value = of_cells(sales, rows, shared) + jnp.sum(sales.log_base)
            return jax.lax.psum(value, AXIS) if self.mesh is not None else value

        if self.mesh is not None:
            specs = (sales_specs(), P(AXIS), P())
            total = jax.shard_map(total, mesh=self.mesh, in_specs=specs, out_specs=P())
        return total(sales, rows, shared)

    def _cell(self, sales: Sales, eta: jax.Array, log_r: jax.Array) -> jax.Array:
        """Log likelihood of every cell less its parameter-free part, shape (N, W)."""
        if self.eta_bounds is not None:
            eta = jnp.clip(eta, *self.eta_bounds)
        if self.likelihood == "poisson":
            return density.poisson(sales.units, eta, zero_truncated=self.zero_truncated)
        return density.negative_binomial(sales.units, eta, log_r[:, None], zero_truncated=self.zero_truncated)

    def latent_sites(self, n_controls: int = 0) -> tuple[str, ...]:
        """Names of the latent variables, sorted."""
        priors = self.priors
        scales = {
            "tau": priors.product_spread,
            "sigma_delta": priors.level_spread,
            "sigma_gamma": priors.period_spread,
        }
        names = ["beta", "beta_c", "delta", "gamma"]
        names += ["delta_c"] * (priors.level_sd > 0) + ["alpha"] * (n_controls > 0)
        if self.likelihood == "negative_binomial":
            names += ["mu_r", "log_r"]
            scales["s_r"] = priors.log_dispersion_spread
        if priors.slow_demand is not None:
            names += ["mu_u", "logit_phi", "log_sigma_u", "innovation"]
            scales["s_u"] = priors.slow_demand.log_sd_spread
        if priors.season is not None:
            names += ["season"]
            scales["sigma_w"] = priors.season.spread
        if self.joint:
            names += ["beta_g"]
            scales["tau_c"] = priors.category_spread
        return tuple(
            sorted(names + [name for name, prior in scales.items() if isinstance(prior, HalfNormal)])
        )


def _found(elasticity: jax.Array, experiment: jax.Array) -> jax.Array:
    """Log density of what was found elsewhere, less its parameter-free part, a scalar."""
    return -0.5 * jnp.sum(experiment[:, 1] * (experiment[:, 0] - elasticity) ** 2)


def _slow_demand(prior: SlowDemand, sales: Sales, real: jax.Array) -> jax.Array:
    """Sample slow demand, an AR(1) a row, from independent innovations, shape (N, W)."""
    C, W = sales.period.shape
    mu_u = numpyro.sample("mu_u", dist.Normal(prior.log_sd_mean, prior.log_sd_sd).expand([C]).to_event())
    s_u = _scale("s_u", prior.log_sd_spread, C)
    logit = dist.Normal(prior.logit_persistence_mean, prior.logit_persistence_sd)
    phi = jax.nn.sigmoid(numpyro.sample("logit_phi", logit.expand([C]).to_event()))[:, None, None]
    log_sigma = numpyro.sample("log_sigma_u", _normal(of_rows(sales, mu_u), of_rows(sales, s_u), real))
    # No period lies outside a category's own but at the end, or where others have more: those change nothing.
    innovation = numpyro.sample("innovation", dist.Normal().expand(sales.units.shape).to_event())
    lag = jnp.arange(W) - jnp.arange(W)[:, None]
    scale = jnp.where(jnp.arange(W)[:, None] == 0, 1.0, jnp.sqrt(1.0 - phi**2))
    filters = jnp.where(lag >= 0, phi ** jnp.maximum(lag, 0), 0.0) * scale
    value = jnp.einsum("nc,ns,cst->nt", sales.member, innovation, filters, precision="highest")
    return numpyro.deterministic("slow_demand", jnp.exp(log_sigma)[:, None] * value)


def _season(prior: Season, sales: Sales, real: jax.Array) -> jax.Array:
    """Sample seasons, a sine and a cosine a row, shape (N, W)."""
    sigma_w = of_rows(sales, _scale("sigma_w", prior.spread, len(sales.period)))
    of_row = numpyro.sample("season", _normal(jnp.zeros((2, 1)), sigma_w, real))
    return jnp.einsum("an,aw->nw", of_row, sales.season, precision="highest")


def linear_predictor(
    sales: Sales, beta: jax.Array, delta: jax.Array, gamma: jax.Array, alpha: jax.Array
) -> jax.Array:
    """Log expected units eta, shape (N, W); see `Model.log_likelihood` for the parameters."""
    eta = delta[:, None] + beta[:, None] * sales.log_price + of_rows(sales, gamma)
    if alpha.shape[-1]:
        eta = eta + jnp.einsum("nwk,nk->nw", sales.controls, of_rows(sales, alpha), precision="highest")
    return eta


@jax.custom_vjp
def _expected_poisson(sales: Sales, rows: tuple[jax.Array, ...], shared: tuple[jax.Array, ...]) -> jax.Array:
    """Sum the expected log likelihood of the cells; effects' means and variances as of `Model.expected_poisson`."""
    return _poisson_with_gradients(sales, rows, shared)[0]


def _poisson_with_gradients(
    sales: Sales, rows: tuple[jax.Array, ...], shared: tuple[jax.Array, ...]
) -> tuple[jax.Array, tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]]:
    """Find the sum and all its gradients in one go over the cells, which takes less time than what jax derives."""
    x, z, w, y = sales.log_price, sales.controls, sales.weight, sales.units
    squared = sales._replace(log_price=x**2, controls=z**2)
    mean = linear_predictor(sales, *rows[:2], *shared[:2])
    half_var = 0.5 * linear_predictor(squared, *rows[2:], *shared[2:])
    # A cell adds y m - E exp(eta), less what it would at most.
    by_mean, by_var, value = density.expected_poisson(y, mean, half_var)
    by_mean, by_var = w * by_mean, w * by_var

    def gradients(of_cell: jax.Array, x: jax.Array, z: jax.Array) -> tuple[jax.Array, ...]:
        # By products of matrices, which run in vectors on a CPU.
        ones = jnp.ones(x.shape[1], x.dtype)
        of_controls = jnp.einsum("nwk,nw->nk", z, of_cell, precision="highest")
        return (
            jnp.matmul(of_cell * x, ones, precision="highest"),
            jnp.matmul(of_cell, ones, precision="highest"),
            jnp.einsum("nc,nw->cw", sales.member, of_cell, precision="highest"),
            jnp.einsum("nc,nk->ck", sales.member, of_controls, precision="highest"),
        )

    first, second = gradients(by_mean, x, z), gradients(by_var, squared.log_price, squared.controls)
    return jnp.sum(w * value), ((*first[:2], *second[:2]), (*first[2:], *second[2:]))


def _scaled_gradients(
    gradients: tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]], factor: jax.Array
) -> tuple[None, tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    rows, shared = jax.tree.map(lambda part: factor * part, gradients)
    return None, rows, shared


_expected_poisson.defvjp(_poisson_with_gradients, _scaled_gradients)


def stack_panels(panels: Sequence[Panel], *, centred_price: bool, row_multiple: int = 1) -> Sales:
    """Lay panels one below the other, on the union of their periods, as NumPy arrays.

    Parameters
    ----------
    panels : sequence of Panel
        All with the same controls.
    centred_price : bool
    row_multiple : int
        N becomes a multiple of this, by padding.

    Raises
    ------
    ValueError
        If the panels' controls differ.
    """
    if len({panel.control for panel in panels}) > 1:
        raise ValueError("categories fitted together must have the same controls")
    dtype = jnp.result_type(float)
    periods = _all_periods(panels)
    row_count = sum(panel.units.shape[0] for panel in panels)
    shape = (
        -(-row_count // row_multiple) * row_multiple,
        max(padded_size(len(periods)), panels[0].units.shape[1]),
    )
    units, log_price = np.zeros(shape, dtype), np.zeros(shape, dtype)
    controls = np.zeros((*shape, len(panels[0].control)), dtype)
    weight = np.zeros(shape, dtype)
    member = np.zeros((shape[0], len(panels)), dtype)
    experiment = np.zeros((shape[0], 2), dtype)
    period = np.zeros((len(panels), shape[1]), bool)
    first = 0
    for c, panel in enumerate(panels):
        rows = slice(first, first + panel.units.shape[0])
        first = rows.stop
        columns = np.searchsorted(periods, panel.period)
        for whole, part in (
            (units, panel.units),
            (log_price, panel.centred_log_price() if centred_price else panel.log_price),
            (controls, panel.controls),
            (weight, panel.weight),
        ):
            whole[rows, columns] = part[:, : panel.n_periods]
        member[rows.start : rows.start + panel.n_products, c] = 1.0
        experiment[rows] = panel.experiments()
        period[c, columns] = True
    base = np.where(weight > 0, weight * density.log_base(jnp.asarray(units)), 0.0).sum(axis=1).astype(dtype)
    season = np.zeros((2, shape[1]), dtype)
    season[:, : len(periods)] = sine_and_cosine(periods)
    of_categories = np.stack([panel.category_experiment for panel in panels]).astype(dtype)
    return Sales(units, log_price, controls, weight, base, member, period, season, experiment, of_categories)


def places(panels: Sequence[Panel], sales: Sales, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of one panel's products, shape (n,), and columns of its periods, shape (T,), in the stack."""
    rows = np.flatnonzero(sales.member[:, index])
    return rows, np.searchsorted(_all_periods(panels), panels[index].period)


def _all_periods(panels: Sequence[Panel]) -> np.ndarray:
    return np.unique(np.concatenate([panel.period for panel in panels]))


def sales_specs(lead: int = 0) -> Sales:
    """How `Sales` is spread over the devices: by rows, after `lead` further axes in front."""
    rows = P(*[None] * lead, AXIS)
    return Sales(rows, rows, rows, rows, rows, rows, P(), P(), rows, P())


def of_rows(sales: Sales, of_category: jax.Array) -> jax.Array:
    """Give each row its category's value: (C, ...) -> (N, ...); zeros for padding."""
    return jnp.einsum("nc,c...->n...", sales.member, of_category, precision="highest")


def _normal(loc: jax.Array | float, scale: jax.Array, real: jax.Array) -> dist.Distribution:
    """Independent normals; standard ones where `real` is False."""
    shape = jnp.broadcast_shapes(jnp.shape(loc), jnp.shape(scale), real.shape)
    return dist.Normal(
        jnp.where(real, jnp.broadcast_to(loc, shape), 0.0),
        jnp.where(real, jnp.broadcast_to(scale, shape), 1.0),
    ).to_event()


def _scale(name: str, prior: HalfNormal | Fixed, size: int | None = None) -> jax.Array:
    """Sample a scale, or take the known value; `size` of them, or a scalar."""
    shape = () if size is None else (size,)
    if isinstance(prior, Fixed):
        return jnp.full(shape, prior.value)
    return numpyro.sample(name, dist.HalfNormal(prior.scale).expand(shape).to_event())
