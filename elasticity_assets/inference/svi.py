"""Engine: stochastic variational inference in NumPyro, data-parallel over the local devices.

Rows of products are spread over the devices and stay there. Steps run in chunks on the device; between
chunks the host looks at the ELBO of the averaged iterate and decides whether to stop.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from numpyro.infer import SVI, RenyiELBO, Trace_ELBO
from numpyro.infer.svi import SVIState
from numpyro.optim import optax_to_numpyro

from elasticity_assets.inference import guides
from elasticity_assets.inference.model import (
    AXIS,
    PRODUCT_SITES,
    Model,
    Sales,
    places,
    sales_specs,
    stack_panels,
)
from elasticity_assets.inference.options import Likelihood, SviOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics
from elasticity_assets.inference.priors import Fixed, Priors
from elasticity_assets.inference.start import resume_from, starting_values

_CHUNK = 100  # steps between two looks at the ELBO
_THIN = 10  # steps to a point of the stored trace
_EVALUATION_DRAWS = 8
_PATIENCE = 2  # looks in a row that must show no gain

Params = dict[str, jax.Array]
Progress = Callable[[int, float], None]


def fit(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: SviOptions,
    *,
    start: CategoryPosterior | None = None,
    on_progress: Progress | None = None,
) -> CategoryPosterior:
    """Fit one category by stochastic variational inference.

    Parameters
    ----------
    panel : Panel
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    options : SviOptions
    start : CategoryPosterior, optional
        Where to start from; products, periods and controls are matched by name.
    on_progress : callable, optional
        Called after every chunk of steps with (steps done, ELBO).

    Returns
    -------
    CategoryPosterior
        With `diagnostics.converged` False and a warning if `options.max_steps` came first.

    Raises
    ------
    ValueError
        If the options do not go together.
    """
    starts = [start] if start is not None else None
    return _fit([panel], priors, likelihood, options, joint=False, starts=starts, on_progress=on_progress)[0]


@dataclass(frozen=True)
class _Problem:
    """What compiled code depends on besides the shapes of its arguments."""

    model: Model
    options: SviOptions

    def svi(self) -> SVI:
        options = self.options
        if options.loss == "renyi":
            loss = RenyiELBO(alpha=0.0, num_particles=options.num_particles)
        else:
            loss = Trace_ELBO(num_particles=options.num_particles)
        guide = guides.mean_field(self.model)
        return SVI(self.model, guide, optax_to_numpyro(_optimizer(options)), loss)


def _fit(
    panels: Sequence[Panel],
    priors: Priors,
    likelihood: Likelihood,
    options: SviOptions,
    *,
    joint: bool,
    starts: Sequence[CategoryPosterior] | None,
    on_progress: Progress | None,
) -> list[CategoryPosterior]:
    began = time.perf_counter()
    mesh = device_mesh()
    model = Model(
        priors=priors,
        likelihood=likelihood,
        zero_truncated=panels[0].zero_truncated,
        joint=joint,
        eta_bounds=options.eta_bounds,
        mesh=mesh,
    )
    sales = stack_panels(panels, centred_price=priors.centred_price, row_multiple=mesh.size)
    n_blocks = 1
    if options.batch_products is not None:
        n_blocks = max(-(-sales.units.shape[0] // options.batch_products), 1)
        sales = stack_panels(panels, centred_price=priors.centred_price, row_multiple=mesh.size * n_blocks)
    mean, sd = jax.device_get(_starting_values(replace(model, mesh=None), sales))
    for index, posterior in enumerate(starts or ()):
        rows, columns = places(panels, sales, index)
        mean, sd = resume_from(posterior, panels[index], rows, columns, index, mean, sd)
    model = replace(model, rows_scale=float(n_blocks))
    # A seed or a limit must not make new code.
    problem = _Problem(model, replace(options, seed=0, max_steps=0, tolerance=0.0))

    blocks = _to_devices(_in_blocks(sales, n_blocks), mesh)
    init = {f"{name}_auto_loc": mean[name] for name in mean} | {f"{name}_auto_scale": sd[name] for name in sd}
    init = {name: _blocked(value, n_blocks) if _is_local(name) else value for name, value in init.items()}
    state = _init(problem, blocks, init, jax.random.key(options.seed))

    epochs = max(_CHUNK // n_blocks, 1)
    steps, best, still, trace = 0, -np.inf, 0, []
    while still < _PATIENCE and steps < options.max_steps:
        state, average, chunk_trace, chunk_elbo = _run_chunk(problem, epochs, blocks, state)
        elbo = float(chunk_elbo)
        steps += epochs * n_blocks
        trace.append(np.asarray(chunk_trace))
        still = 0 if elbo > best + options.tolerance else still + 1
        if elbo > best or len(trace) == 1:
            best, params = elbo, average
        if on_progress is not None:
            on_progress(steps, elbo)
    warnings = []
    if still < _PATIENCE:
        warnings.append(f"SVI stopped at {steps} steps before the ELBO settled; raise max_steps")
    # Jitter of the iterate costs well under 0.05 nats a latent variable.
    if not best - elbo <= 0.05 * sum(map(np.size, mean.values())) + options.tolerance:
        warnings.append("SVI lost its best ELBO again; lower learning_rate")
    params = {
        name: np.asarray(value).reshape(-1) if _is_local(name) else np.asarray(value)
        for name, value in params.items()
    }
    diagnostics = FitDiagnostics(
        engine="svi",
        likelihood=("zero-truncated " if model.zero_truncated else "") + likelihood,
        device=f"{jax.default_backend()} x{mesh.size}",
        iterations=steps,
        converged=not warnings,
        elbo=best,
        seconds=time.perf_counter() - began,
        warnings=tuple(warnings),
    )
    return [
        _posterior(panels, index, priors, likelihood, sales, params, np.concatenate(trace), diagnostics)
        for index in range(len(panels))
    ]


def device_mesh() -> Mesh:
    """All local devices on one axis."""
    devices = jax.local_devices()
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def _optimizer(options: SviOptions) -> optax.GradientTransformation:
    rate = optax.exponential_decay(
        options.learning_rate,
        transition_steps=1000,
        decay_rate=options.decay,
        end_value=min(options.smallest_rate, options.learning_rate),
    )
    if options.optimizer == "adamw":
        return optax.adamw(rate)
    return optax.chain(optax.scale_by_adam(), _scale_by_start_sd(), optax.scale_by_learning_rate(rate))


def _scale_by_start_sd() -> optax.GradientTransformation:
    """Multiply the steps of locations by their guide's starting sd, so that one rate fits small and huge volumes."""

    def init(params: optax.Params) -> Params:
        return {
            name: jax.nn.softplus(params[name.removesuffix("loc") + "scale"])
            if name.endswith("_loc")
            else jnp.ones_like(value)
            for name, value in params.items()
        }

    def update(
        updates: optax.Updates, state: Params, params: optax.Params | None = None
    ) -> tuple[Any, Params]:
        return jax.tree.map(jnp.multiply, updates, state), state

    return optax.GradientTransformation(init, update)


# --- compiled code ----------------------------------------------------------------------------------------


@partial(jax.jit, static_argnames="model")
def _starting_values(model: Model, sales: Sales) -> tuple[Params, Params]:
    return starting_values(model, sales)


@partial(jax.jit, static_argnames="problem")
def _init(problem: _Problem, blocks: Sales, init: Params, key: jax.Array) -> SVIState:
    """State of the optimizer; what belongs to products has the blocks as its first axis."""

    def of_block(k: jax.Array) -> SVIState:
        params = {name: value[k] if _is_local(name) else value for name, value in init.items()}
        return problem.svi().init(key, _block(blocks, k), init_params=params)

    if len(blocks.units) == 1:
        return _placed(_map_local(lambda leaf: leaf[None], of_block(0)), problem)
    states = jax.lax.map(of_block, jnp.arange(len(blocks.units)))
    states = jax.tree_util.tree_map_with_path(lambda path, leaf: leaf if _in_local(path) else leaf[0], states)
    return _placed(states, problem)


@partial(jax.jit, static_argnames=("problem", "epochs"), donate_argnames="state")
def _run_chunk(
    problem: _Problem, epochs: int, blocks: Sales, state: SVIState
) -> tuple[SVIState, Params, jax.Array, jax.Array]:
    """Some epochs of steps; returns the state, the mean iterate (constrained), the thinned ELBO and the mean's ELBO."""
    n_blocks = len(blocks.units)
    svi = problem.svi()
    svi.init(state.rng_key, _block(blocks, 0))  # traced for its constraints alone

    def step(state: SVIState, k: jax.Array) -> tuple[SVIState, jax.Array]:
        own = _map_local(lambda leaf: leaf[k], state)
        own, loss = svi.update(own, _block(blocks, k))
        return _put_local(state, own, k), -loss

    def epoch(carry: tuple[SVIState, Params], _: None) -> tuple[tuple[SVIState, Params], jax.Array]:
        state, total = carry
        if n_blocks == 1:
            state, elbos = step(state, 0)
        else:
            order_key, rng_key = jax.random.split(state.rng_key)
            order = jax.random.permutation(order_key, n_blocks)
            state, elbos = jax.lax.scan(step, state._replace(rng_key=rng_key), order)
        return (state, jax.tree.map(jnp.add, total, svi.optim.get_params(state.optim_state))), elbos

    zeros = jax.tree.map(jnp.zeros_like, svi.optim.get_params(state.optim_state))
    (state, total), elbos = jax.lax.scan(epoch, (state, zeros), length=epochs)
    params = svi.constrain_fn(jax.tree.map(lambda leaf: leaf / epochs, total))

    # The same draws every time: the difference of two looks has little noise.
    def elbo_of(draw: jax.Array) -> jax.Array:
        own = _map_local(lambda leaf: leaf[draw[1]], params)
        key = jax.random.fold_in(jax.random.key(0), draw[0])
        return -Trace_ELBO().loss(key, own, svi.model, svi.guide, _block(blocks, draw[1]))

    draws = jnp.stack(jnp.meshgrid(jnp.arange(_EVALUATION_DRAWS), jnp.arange(n_blocks)), axis=-1).reshape(
        -1, 2
    )
    elbo = jax.lax.map(elbo_of, draws).mean()
    elbos = elbos.reshape(-1)
    thinned = elbos[: len(elbos) // _THIN * _THIN].reshape(-1, _THIN).mean(axis=1)
    return _placed(state, problem), params, thinned, elbo


def _placed(tree: Any, problem: _Problem) -> Any:
    """Spread what belongs to products over the devices, and copy the rest to each."""
    mesh = problem.model.mesh
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: jax.lax.with_sharding_constraint(
            leaf, NamedSharding(mesh, P(None, AXIS) if _in_local(path) else P())
        ),
        tree,
    )


# --- rows in blocks ---------------------------------------------------------------------------------------


def _is_local(name: str) -> bool:
    return name.partition("_auto_")[0] in PRODUCT_SITES


def _in_local(path: tuple[Any, ...]) -> bool:
    return any(isinstance(key, jax.tree_util.DictKey) and _is_local(key.key) for key in path)


def _map_local(function: Callable[[jax.Array], jax.Array], tree: Any) -> Any:
    """Apply to the leaves that belong to products."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: function(leaf) if _in_local(path) else leaf, tree
    )


def _put_local(whole: Any, part: Any, k: jax.Array) -> Any:
    """Write a block's leaves back; shared leaves are replaced."""
    return jax.tree_util.tree_map_with_path(
        lambda path, old, new: old.at[k].set(new) if _in_local(path) else new, whole, part
    )


def _blocked(array: np.ndarray, n_blocks: int) -> np.ndarray:
    return array.reshape(n_blocks, -1, *array.shape[1:])


def _in_blocks(sales: Sales, n_blocks: int) -> Sales:
    rows = {name: _blocked(value, n_blocks) for name, value in sales._asdict().items() if name != "period"}
    return sales._replace(**rows)


def _block(blocks: Sales, k: jax.Array | int) -> Sales:
    rows = {name: value[k] for name, value in blocks._asdict().items() if name != "period"}
    return blocks._replace(**rows)


def _to_devices(blocks: Sales, mesh: Mesh) -> Sales:
    return jax.tree.map(
        lambda array, spec: jax.device_put(array, NamedSharding(mesh, spec)),
        blocks,
        sales_specs(lead=1),
        is_leaf=lambda leaf: isinstance(leaf, P),
    )


# --- from the guide to a posterior ------------------------------------------------------------------------


def _posterior(
    panels: Sequence[Panel],
    index: int,
    priors: Priors,
    likelihood: Likelihood,
    sales: Sales,
    params: dict[str, np.ndarray],
    trace: np.ndarray,
    diagnostics: FitDiagnostics,
) -> CategoryPosterior:
    """One category's posterior: a single Gaussian at tau's posterior mean."""
    panel = panels[index]
    rows, columns = places(panels, sales, index)

    def loc(name: str) -> np.ndarray:
        return params[f"{name}_auto_loc"].astype(np.float64)

    def sd(name: str) -> np.ndarray:
        return params[f"{name}_auto_scale"].astype(np.float64)

    def scale(name: str, prior: Any) -> float:
        if isinstance(prior, Fixed):
            return prior.value
        return float(np.exp(loc(name)[index] + 0.5 * sd(name)[index] ** 2))

    counts = likelihood == "negative_binomial"
    K = len(panel.control)
    return CategoryPosterior(
        category=panel.category,
        product=panel.product,
        period=panel.period,
        control=panel.control,
        prior_mean=priors.category_mean,
        prior_var=priors.category_var,
        tau=np.array([scale("tau", priors.product_spread)]),
        weight=np.ones(1),
        category_mean=loc("beta_c")[[index]],
        category_var=sd("beta_c")[[index]] ** 2,
        product_mean=loc("beta")[None, rows],
        product_var=sd("beta")[None, rows] ** 2,
        product_gain=np.zeros((1, len(rows))),
        control_mean=loc("alpha")[[index]] if K else np.zeros((1, 0)),
        control_var=sd("alpha")[[index]] ** 2 if K else np.zeros((1, 0)),
        level=loc("delta")[rows],
        period_effect=loc("gamma")[index, columns],
        dispersion=np.exp(loc("log_r")[rows]) if counts else np.full(len(rows), np.inf),
        level_mean=float(loc("delta_c")[index]) if priors.level_sd > 0 else priors.level_mean,
        level_spread=scale("sigma_delta", priors.level_spread),
        period_spread=scale("sigma_gamma", priors.period_spread),
        log_dispersion_mean=float(loc("mu_r")[index]) if counts else priors.log_dispersion_mean,
        log_dispersion_spread=scale("s_r", priors.log_dispersion_spread) if counts else 0.0,
        trace=trace,
        diagnostics=diagnostics,
    )
