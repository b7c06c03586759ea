"""Optimization of the SVI engine: NumPyro's updates in compiled chunks, rows spread over the devices.

Rows of products, and everything that belongs to them, lie in B contiguous blocks on the devices, shape
(B, n, ...); a step takes one block, the full batch being B = 1. Between chunks the host looks at the ELBO
of the averaged iterate, shortens the steps when it stands still, and stops once they are short.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from numpyro.infer import SVI, RenyiELBO, Trace_ELBO
from numpyro.infer.svi import SVIState
from numpyro.optim import optax_to_numpyro

from elasticity_assets.inference.density.model import SHARED, Model, Sales, sales_specs
from elasticity_assets.inference.devices import AXIS
from elasticity_assets.inference.options import SviOptions
from elasticity_assets.inference.priors import HalfNormal
from elasticity_assets.inference.svi import guides
from elasticity_assets.inference.svi.losses import ClosedFormELBO

_CHUNK = 100  # steps between two looks at the ELBO
_EXACT_CHUNK = 50  # of the full batch, where neither steps nor looks have noise
_LEAST_EPOCHS = 10  # in a chunk
_THIN = 10  # steps to a point of the stored trace
_EVALUATION_DRAWS = 8
_SHORTER = 0.3  # factor on the step length when the ELBO stands still
_PATIENCE = 5  # looks without gain before it stops
_STILL_NEARBY = 2  # of them that a warm start is spared
_ADAMW_SMALLEST_RATE = 1e-5

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Objective:
    """What compiled code depends on besides the shapes of its arguments; hashable.

    Attributes
    ----------
    model : Model
        With its mesh, and `rows_scale` the number of blocks.
    guide, loss, optimizer, num_particles
        As in `SviOptions`.
    """

    model: Model
    guide: str
    loss: str
    optimizer: str
    num_particles: int

    @property
    def mesh(self) -> Mesh:
        """Devices that the rows are spread over."""
        assert self.model.mesh is not None, "the model of an objective has a mesh"  # noqa: S101
        return self.model.mesh

    @property
    def partly_centred(self) -> bool:
        """Whether the guide is; the closed form needs Gaussian beta_i, and with known tau little is gained."""
        learned = isinstance(self.model.priors.product_spread, HalfNormal)
        return learned and self.loss != "closed_form" and self.guide != "low_rank"

    def svi(self, rate: jax.Array | float = 0.0) -> SVI:
        """NumPyro's object, at one step length."""
        if self.optimizer == "adamw":
            optimizer = optax.adamw(rate)
        else:
            steps = optax.scale_by_learning_rate(rate)
            optimizer = optax.chain(optax.scale_by_adam(), _scale_by_starting_sd(), steps)
        if self.loss == "closed_form":
            loss = ClosedFormELBO()
        elif self.loss == "renyi":
            loss = RenyiELBO(alpha=0.0, num_particles=self.num_particles)
        else:
            loss = Trace_ELBO(num_particles=self.num_particles)
        guide = guides.build(self.guide, self.model, partly_centred=self.partly_centred)
        return SVI(self.model, guide, optax_to_numpyro(optimizer), loss)


class Optimum(NamedTuple):
    """Where the optimization ended.

    Attributes
    ----------
    params : dict of name to array
        The guide's parameters: the mean iterate of the chunk with the best ELBO.
    elbo : float
    steps : int
    trace : array
        ELBO of the steps, means of 10.
    warnings : tuple of str
        Why it did not converge; empty if it did.
    """

    params: Arrays
    elbo: float
    steps: int
    trace: np.ndarray
    warnings: tuple[str, ...]


def optimize(
    objective: Objective,
    sales: Sales,
    init: Arrays,
    options: SviOptions,
    *,
    near: bool = False,
    on_progress: Callable[[int, float], None] | None = None,
) -> Optimum:
    """Fit the guide.

    Parameters
    ----------
    objective : Objective
    sales : Sales
        N a multiple of blocks times devices.
    init : dict of name to array
        The guide's starting parameters, as from `guides.initial_params`.
    options : SviOptions
    near : bool
        Whether `init` is near the optimum, so that long steps would only lead away.
    on_progress : callable, optional
        Called after every chunk with (steps done, ELBO).
    """
    n_blocks = int(objective.model.rows_scale)
    blocks = to_devices(sales, objective)
    init = {name: _cut(value, n_blocks) if _is_local(name) else value for name, value in init.items()}
    state = _init(objective, blocks, init, jax.random.key(options.seed))
    chunk = _EXACT_CHUNK if objective.loss == "closed_form" and n_blocks == 1 else _CHUNK
    least_gain = options.tolerance * chunk / _CHUNK
    epochs = max(chunk // n_blocks, _LEAST_EPOCHS)
    own_schedule = objective.optimizer == "adam"
    steps, still, best, trace, params = 0, _STILL_NEARBY if near else 0, -np.inf, [], init
    while still < _PATIENCE and steps < options.max_steps:
        if own_schedule:
            rate = options.learning_rate * _SHORTER**still
        else:
            rate = max(options.learning_rate * 0.99 ** (steps / 1000), _ADAMW_SMALLEST_RATE)
        state, average, elbos, chunk_elbo = _run_chunk(objective, epochs, rate, blocks, state)
        elbo = float(chunk_elbo)
        steps += epochs * n_blocks
        trace.append(np.asarray(elbos))
        if not elbo > best + least_gain:
            still += 1
        elif not own_schedule:
            still = 0
        if elbo > best or len(trace) == 1:
            best, params = elbo, average
        if on_progress is not None:
            on_progress(steps, elbo)
    warnings = []
    if still < _PATIENCE:
        warnings.append(f"SVI stopped at {steps} steps before the ELBO settled; raise max_steps")
    # Jitter costs well under 0.05 nats a parameter.
    if not best - elbo <= 0.05 * sum(np.size(value) for value in init.values()) + options.tolerance:
        warnings.append("SVI lost its best ELBO again; lower learning_rate")
    found = jax.device_get(params)
    found = {name: np.concatenate(value) if _is_local(name) else value for name, value in found.items()}
    return Optimum(found, best, steps, np.concatenate(trace), tuple(warnings))


def to_devices(sales: Sales, objective: Objective) -> Sales:
    """Cut `sales` into blocks and spread each block's rows over the devices."""
    n_blocks = int(objective.model.rows_scale)
    rows = {name: _cut(value, n_blocks) for name, value in sales._asdict().items() if name not in SHARED}
    return jax.tree.map(
        lambda array, spec: jax.device_put(array, NamedSharding(objective.mesh, spec)),
        sales._replace(**rows),
        sales_specs(lead=1),
        is_leaf=lambda leaf: isinstance(leaf, P),
    )


def _scale_by_starting_sd() -> optax.GradientTransformation:
    """Multiply steps of locations by their starting sds: one step length then fits all volumes."""

    def init(params: Arrays) -> Arrays:
        return {
            name: jax.nn.softplus(params[name.removesuffix("loc") + "scale"])
            if name.endswith("_loc")
            else jnp.ones_like(value)
            for name, value in params.items()
        }

    def update(updates: Arrays, state: Arrays, params: Arrays | None = None) -> tuple[Arrays, Arrays]:
        return jax.tree.map(jnp.multiply, updates, state), state

    return optax.GradientTransformation(init, update)


@partial(jax.jit, static_argnames="objective")
def _init(objective: Objective, blocks: Sales, init: Arrays, key: jax.Array) -> SVIState:
    """State of the optimizer; what belongs to products has the blocks as its first axis."""

    def of_block(k: jax.Array) -> SVIState:
        params = {name: value[k] if _is_local(name) else value for name, value in init.items()}
        return objective.svi().init(key, _block(blocks, k), init_params=params)

    states = jax.lax.map(of_block, jnp.arange(len(blocks.units)))
    states = jax.tree_util.tree_map_with_path(lambda path, leaf: leaf if _in_local(path) else leaf[0], states)
    return _placed(states, objective)


@partial(jax.jit, static_argnames=("objective", "epochs"), donate_argnames="state")
def _run_chunk(
    objective: Objective, epochs: int, rate: float, blocks: Sales, state: SVIState
) -> tuple[SVIState, Arrays, jax.Array, jax.Array]:
    """Make `epochs` x B steps.

    Returns the state, the mean iterate (constrained), the steps' ELBO thinned, and the mean iterate's ELBO.
    """
    n_blocks = len(blocks.units)
    svi = objective.svi(rate)
    first = _map_local(lambda leaf: leaf[0], svi.optim.get_params(state.optim_state))
    svi.init(state.rng_key, _block(blocks, 0), init_params=first)  # traced for its constraints alone

    def step(state: SVIState, k: jax.Array | int) -> tuple[SVIState, jax.Array]:
        own, loss = svi.update(_map_local(lambda leaf: leaf[k], state), _block(blocks, k))
        return _put_local(state, own, k), -loss

    def epoch(carry: tuple[SVIState, Arrays], _: None) -> tuple[tuple[SVIState, Arrays], jax.Array]:
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

    exact = objective.loss == "closed_form"
    loss = svi.loss if exact else Trace_ELBO()

    # The same draws at every look: the difference of two looks has little noise.
    def elbo_of(look: jax.Array) -> jax.Array:
        draw, k = look
        key = jax.random.fold_in(jax.random.key(0), draw)
        own = _map_local(lambda leaf: leaf[k], params)
        return -loss.loss(key, own, svi.model, svi.guide, _block(blocks, k))

    looks = jnp.meshgrid(jnp.arange(1 if exact else _EVALUATION_DRAWS), jnp.arange(n_blocks))
    elbo = jax.lax.map(elbo_of, jnp.stack(looks, axis=-1).reshape(-1, 2)).mean()
    elbos = elbos.reshape(-1)
    thinned = elbos[: len(elbos) // _THIN * _THIN].reshape(-1, _THIN).mean(axis=1)
    return _placed(state, objective), params, thinned, elbo


def _placed(tree: Any, objective: Objective) -> Any:
    """Spread what belongs to products over the devices, and copy the rest to each."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: jax.lax.with_sharding_constraint(
            leaf, NamedSharding(objective.mesh, P(None, AXIS) if _in_local(path) else P())
        ),
        tree,
    )


def _is_local(name: str) -> bool:
    """Whether a parameter of the guide has one value a product."""
    return name.startswith("products_")


def _in_local(path: tuple[Any, ...]) -> bool:
    return any(isinstance(key, jax.tree_util.DictKey) and _is_local(key.key) for key in path)


def _map_local(function: Callable[[jax.Array], jax.Array], tree: Any) -> Any:
    """Apply to the leaves that belong to products."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: function(leaf) if _in_local(path) else leaf, tree
    )


def _put_local(whole: Any, part: Any, k: jax.Array | int) -> Any:
    """Write a block's leaves back; shared leaves are replaced."""
    return jax.tree_util.tree_map_with_path(
        lambda path, old, new: (
            jax.lax.dynamic_update_index_in_dim(old, new, k, 0) if _in_local(path) else new
        ),
        whole,
        part,
    )


def _cut(array: Any, n_blocks: int) -> Any:
    return array.reshape(n_blocks, len(array) // n_blocks, *array.shape[1:])


def _block(blocks: Sales, k: jax.Array | int) -> Sales:
    rows = {name: value[k] for name, value in blocks._asdict().items() if name not in SHARED}
    return blocks._replace(**rows)
