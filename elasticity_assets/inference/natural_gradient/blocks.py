"""A panel's products cut into blocks, as the natural-gradient engine wants them: (blocks, ..., n), products last."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from elasticity_assets.inference.natural_gradient import arrow
from elasticity_assets.inference.natural_gradient.state import room_for_controls
from elasticity_assets.inference.panel import Panel, padded_size
from elasticity_assets.inference.priors import Priors
from elasticity_assets.inference.season import sine_and_cosine

# Products at a time: on a CPU so few that a block stays in cache, and that no part of its work is worth sharing out
# among threads to XLA, which costs more than it saves where fits run side by side.
_BLOCK_ON_CPU, _BLOCK_ON_ACCELERATOR = 64, 4096
_SMALLEST_BLOCK = 16  # products: on a CPU half as many take as long
_FEW_BLOCKS = (1, 8, 16, 32)


@dataclass(frozen=True)
class Blocks:
    """A panel and its rows in blocks.

    Attributes
    ----------
    panel : Panel
    rows : Rows
        Arrays of NumPy, shape (blocks, ..., n).
    """

    panel: Panel
    rows: arrow.Rows

    @classmethod
    def cut(
        cls, panel: Panel, priors: Priors, regressors: Sequence[np.ndarray], devices: int, products: int = 0
    ) -> "Blocks":
        """Cut a panel into blocks, as many a device; see `room`.

        Parameters
        ----------
        panel : Panel
        priors : Priors
        regressors : sequence of float arrays, shape (N, W)
            What has a slope a product, not centred.
        devices : int
        products : int
            Make room for so many at least.
        """
        seen = panel.observed
        slope_mean = np.stack([panel.mean_of_observed(values) for values in regressors], axis=-1)
        count = np.maximum(seen.sum(axis=1), 1)[:, None]
        control_mean = np.where(seen[..., None], panel.controls, 0.0).sum(axis=1, dtype=np.float64) / count
        controls = np.where(seen[..., None], panel.controls - control_mean[:, None], 0.0)
        empty = room_for_controls(len(panel.control)) - len(panel.control)
        controls, control_mean = (
            np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, empty)]) for part in (controls, control_mean)
        )
        if priors.centred_price:
            slope_mean = np.zeros_like(slope_mean)
        season = np.zeros((0, seen.shape[1], 1), np.float32)
        if priors.season is not None:
            season = np.zeros((2, seen.shape[1], 1), np.float32)
            season[:, : panel.n_periods, 0] = sine_and_cosine(panel.period)
        most = _BLOCK_ON_CPU if jax.default_backend() == "cpu" else _BLOCK_ON_ACCELERATOR
        blocks, n = room(max(panel.n_products, products), devices, most)

        def in_blocks(array: np.ndarray) -> np.ndarray:
            return _in_blocks(array, blocks, n)

        return cls(
            panel,
            arrow.Rows(
                units=in_blocks(np.where(panel.weight > 0, panel.units, 0.0)),
                weight=in_blocks(panel.weight),
                slopes=in_blocks(np.stack([panel.centred(values) for values in regressors], axis=-1)),
                controls=in_blocks(controls),
                slope_mean=in_blocks(slope_mean),
                control_mean=in_blocks(control_mean),
                real=in_blocks(np.arange(len(seen)) < panel.n_products),
                season=np.tile(season, (blocks, 1, 1, 1)),
                experiment=in_blocks(panel.experiments()),
            ),
        )

    def under(self, weight: np.ndarray) -> "Blocks":
        """Give the same blocks under other weights of the cells, shape (N, W)."""
        panel = replace(self.panel, weight=weight)
        units, weight = (
            _in_blocks(part, *self.rows.real.shape)
            for part in (np.where(weight > 0, panel.units, 0.0), weight)
        )
        return Blocks(panel, self.rows._replace(units=units, weight=weight))

    def by_cell(self, blocks: np.ndarray) -> np.ndarray:
        """(blocks, W, n) of all rows to (products, periods)."""
        return self.by_product(blocks)[: self.panel.n_periods].T

    def by_product(self, blocks: np.ndarray) -> np.ndarray:
        """(blocks, ..., n) of all rows to (..., products)."""
        whole = np.moveaxis(blocks, 0, -2)
        whole = whole.reshape(*whole.shape[:-2], whole.shape[-2] * whole.shape[-1])
        return whole[..., : self.panel.n_products].astype(np.float64)

    def in_blocks(self, values: np.ndarray) -> np.ndarray:
        """Undo `by_product`, with zeros for padding."""
        blocks, n = self.rows.real.shape
        padded = np.zeros((*values.shape[:-1], blocks * n), np.float32)
        padded[..., : values.shape[-1]] = values
        return np.moveaxis(padded.reshape(*values.shape[:-1], blocks, n), -2, 0)


def room(products: int, devices: int, most: int) -> tuple[int, int]:
    """Choose a number of blocks, and of products in each, of which there are few, so that few programs are compiled.

    Passes end at the last block that has a product: more room costs memory, of which little is touched.

    Parameters
    ----------
    products : int
        To find room for.
    devices : int
        Each gets as many blocks.
    most : int
        Products in a block.
    """
    of_device = -(-products // devices)
    if (
        devices > 1
    ):  # products fill the first blocks: more room would leave the last devices with nothing to do
        n = min(most, of_device)
        return -(-of_device // n) * devices, n
    n = min(most, max(1 << (of_device - 1).bit_length(), _SMALLEST_BLOCK))
    needed = -(-of_device // n)
    return next((few for few in _FEW_BLOCKS if few >= needed), padded_size(needed)), n


def _in_blocks(array: np.ndarray, blocks: int, n: int) -> np.ndarray:
    """(N, ...) to (blocks, ..., n), padded with zeros."""
    padded = np.zeros((blocks * n, *array.shape[1:]), np.float32)
    rows = min(len(array), len(padded))  # the panel's own padding may need more room
    padded[:rows] = array[:rows]
    padded = padded.reshape(blocks, n, *array.shape[1:])
    return np.ascontiguousarray(np.transpose(padded, (0, *range(padded.ndim - 1, 0, -1))))
