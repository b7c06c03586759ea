"""How much of each step is taken: undamped, a mean and its variance, or scales and effects, can chase each other."""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from elasticity_assets.inference.devices import Leaf
from elasticity_assets.inference.natural_gradient import slow_demand

_LEAST_SHARE = 0.05
_LEAST_SHARE_OF_SCALES = 0.002  # a spread of dispersions near 0 is a narrow place


class Rows(Protocol):
    """What a state holds of rows, as of `State`."""

    @property
    def theta(self) -> Leaf:
        """Levels are the last of each row."""

    @property
    def log_size(self) -> Leaf:
        """Mean of log r."""

    @property
    def size_var(self) -> Leaf:
        """Variance of log r."""


class Scales(Protocol):
    """What a state holds of scales, as of `State`."""

    @property
    def log_scale(self) -> Leaf:
        """Logs of scales."""

    @property
    def slow_common(self) -> slow_demand.Common:
        """What slow demand shares."""


class OfRows(NamedTuple):
    """Damping of each product's own steps; shape (blocks, n) each.

    Attributes
    ----------
    variance, size : arrays
        Shares of the steps of a product's Var eta, and of the mean and variance of its log r_i.
    last_level, last_size, last_size_var : arrays
        The last steps of its level, and of the mean and variance of log r_i.
    """

    variance: Leaf
    size: Leaf
    last_level: Leaf
    last_size: Leaf
    last_size_var: Leaf

    @classmethod
    def first(cls, log_size: jax.Array) -> "OfRows":
        """Whole steps."""
        one, zero = jnp.ones_like(log_size), jnp.zeros_like(log_size)
        return cls(one, one, zero, zero, zero)

    def after(self, before: Rows, now: Rows, gaussian: jax.Array) -> "OfRows":
        """Damp more what turned round, and less what did not."""
        level = now.theta[:, -1] - before.theta[:, -1]
        size, size_var = now.log_size - before.log_size, now.size_var - before.size_var
        # Dispersions swing on their way in; only swings that hardly shrink are held back.
        swung = _turned(size, self.last_size, 0.7) | _turned(size_var, self.last_size_var, 0.7)
        return OfRows(
            jnp.where(gaussian, _paced(self.variance, _turned(level, self.last_level, 0.3)), 1.0),
            jnp.where(gaussian, _paced(self.size, swung), 1.0),
            level,
            size,
            size_var,
        )


class OfScales(NamedTuple):
    """Damping of the steps of the scales, and of slow demand's log s_u, logit phi and log sigma; shape (d + 5,) each.

    Attributes
    ----------
    share : array
    last : array
        The last steps.
    """

    share: jax.Array
    last: jax.Array

    @classmethod
    def first(cls, log_scale: jax.Array, of_slow_demand: float = 0.5) -> "OfScales":
        """Whole steps, and half ones of slow demand's, which would turn round once a fit."""
        share = jnp.append(jnp.ones_like(log_scale), jnp.full(3, of_slow_demand, jnp.float32))
        return cls(share, jnp.zeros_like(share))

    def after(self, before: Scales, now: Scales) -> "OfScales":
        """Damp more what turned round, and less what did not."""
        step = _of_scales(now) - _of_scales(before)
        return OfScales(_paced(self.share, _turned(step, self.last, 0.3), _LEAST_SHARE_OF_SCALES), step)


def _of_scales(state: Scales) -> jax.Array:
    slow = state.slow_common
    return jnp.append(state.log_scale, jnp.stack([slow.log_spread, slow.logit_persistence, slow.centre]))


def _turned(step: jax.Array, last: jax.Array, share: float) -> jax.Array:
    """Whether a step undoes more than this share of the last one."""
    return step * last < -share * last**2


def _paced(share: jax.Array, turned: jax.Array, least: float = _LEAST_SHARE) -> jax.Array:
    return jnp.clip(share * jnp.where(turned, 0.5, 1.3), least, 1.0)
