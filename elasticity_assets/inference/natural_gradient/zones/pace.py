"""How much of each step is taken, of rows, of scales, and of what shocks share; see `damping`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from elasticity_assets.inference.devices import Leaf
from elasticity_assets.inference.natural_gradient import slow_demand
from elasticity_assets.inference.natural_gradient.damping import OfRows, OfScales
from elasticity_assets.inference.natural_gradient.zones.state import State


class Pace(NamedTuple):
    """Damping of all steps.

    Attributes
    ----------
    rows : OfRows
    scales : OfScales
        Of the scales, and of what slow demand shares.
    shocks : OfScales
        Of what shocks share.
    """

    rows: OfRows
    scales: OfScales
    shocks: OfScales

    @classmethod
    def first(cls, state: State) -> "Pace":
        """Whole steps, but of slow demand's scales."""
        return cls(
            OfRows.first(state.log_size), OfScales.first(state.log_scale), OfScales.first(jnp.zeros(0), 1.0)
        )

    def after(self, before: State, now: State, gaussian: jax.Array) -> "Pace":
        """Damp more what turned round, and less what did not."""
        return Pace(
            self.rows.after(before, now, gaussian),
            self.scales.after(before, now),
            self.shocks.after(_Shocks.of(before), _Shocks.of(now)),
        )


class _Shocks(NamedTuple):
    """What shocks share, as damping reads what slow demand shares."""

    log_scale: Leaf
    slow_common: slow_demand.Common

    @classmethod
    def of(cls, state: State) -> "_Shocks":
        return cls(jnp.zeros(0), state.shock_common)
