"""How much the cells of a panel count in its likelihood, beyond whether they were observed; `weighing` finds it."""

from dataclasses import dataclass, replace

import numpy as np

from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior


@dataclass(frozen=True)
class CellWeights:
    """How much the cells of one panel count.

    Attributes
    ----------
    serial_correlation_factor : float
        By which all weights are divided; at least 1.
    discounted : int array, shape (m, 2)
        Row and column of the cells that count less than the others.
    discounted_share : float array, shape (m,)
        What is left of their weight, 0 to 1.
    """

    serial_correlation_factor: float
    discounted: np.ndarray
    discounted_share: np.ndarray

    @classmethod
    def of(cls, posterior: CategoryPosterior) -> "CellWeights":
        """Weights that a fit was made under."""
        return cls(posterior.serial_correlation_factor, posterior.discounted, posterior.discounted_share)

    @classmethod
    def of_shares(cls, factor: float, share: np.ndarray) -> "CellWeights":
        """Weights from the share of its weight that each cell keeps, shape (n, T)."""
        discounted = np.argwhere(share < 1.0)
        return cls(factor, discounted, share[tuple(discounted.T)])


def weighed(panel: Panel, weights: CellWeights) -> Panel:
    """Give the panel's cells these weights."""
    weight = panel.weight / np.float32(weights.serial_correlation_factor)
    row, column = weights.discounted.T
    weight[row, column] *= weights.discounted_share
    return replace(panel, weight=weight.astype(np.float32))
