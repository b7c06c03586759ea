"""The devices that a fit runs over: all that jax knows, of this process and of those it works with.

Several processes work on one fit where each has called `jax.distributed.initialize` and then fits the same panels in
the same order. Each holds the whole panel, has its own devices' rows computed there, and gets the whole posterior.
"""

from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from elasticity_assets.inference.traced import traced_once

Leaf: TypeAlias = Any
"""What a tree of arrays holds: arrays of jax, or of NumPy before and after they are on the devices; in trees that
describe such a tree, their shapes or `PartitionSpec`s."""

AXIS = "products"
"""The mesh axis that rows are spread over."""


_ON_CPU = {"xla_backend_optimization_level": 1, "xla_cpu_prefer_vector_width": 512}

Result = TypeVar("Result")


def compiled_once_used(
    *static: str, results: Sequence[type]
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Compile a long program as the devices at hand like it, which are asked for when it is first called.

    On CPUs at LLVM's first level: the second takes a sixth longer, and what it makes is no faster. Vectors of 512 bits
    are used by CPUs that have them, though LLVM would not: logarithms and exponentials take a fifth less of a pass.

    Parameters
    ----------
    *static : str
        Names of arguments that are not arrays.
    results : sequence of NamedTuple types
        As of `traced_once`.
    """

    def of(function: Callable[..., Result]) -> Callable[..., Result]:
        @cache
        def program() -> Any:
            options = _ON_CPU if jax.default_backend() == "cpu" else None
            return jax.jit(traced_once(function, results), static_argnames=static, compiler_options=options)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Result:
            found: Result = program()(*args, **kwargs)
            return found

        return call

    return of


def device_mesh() -> Mesh:
    """Put all devices of all processes on the axis `AXIS`."""
    devices = jax.devices()
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def to_devices(tree: Any, mesh: Mesh, spec: P) -> Any:
    """Spread NumPy arrays, which every process has alike, over the devices."""
    sharding = NamedSharding(mesh, spec)
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def place(array: np.ndarray) -> jax.Array:
        # `device_put` would first send the whole array round, to compare.
        return jax.make_array_from_callback(np.shape(array), sharding, lambda index: np.asarray(array)[index])

    return jax.tree.map(place, tree)


def from_devices(tree: Any) -> Any:
    """Give every process whole NumPy arrays."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return jax.tree.map(_whole, tree)


def _whole(array: Any) -> Any:
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return multihost_utils.process_allgather(array, tiled=True)
    return jax.device_get(array)
