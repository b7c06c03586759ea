"""A zoned panel's rows in tiles: a tile is some rows of one product, and a few tiles are a block that stays in cache.

Not every product is in every zone. Tiles have G rows, all the same; G is the one of few sizes that wastes least.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference.devices import Leaf
from elasticity_assets.inference.panel import padded_size
from elasticity_assets.inference.priors import Priors
from elasticity_assets.inference.season import sine_and_cosine
from elasticity_assets.inference.zoned_panel import ZonedPanel

_BLOCK = 64  # rows
_PRODUCTS = 4  # padding of products is dear: each is a dense block
_SIZES = (8, 16, 32, 64)  # rows of a tile


class Tiles(NamedTuple):
    """Data of rows in blocks, rows last; padding is all zeros.

    Attributes
    ----------
    units, weight, price : float arrays, shape (blocks, W, L)
        Units are 0 where the weight is; log price less the row's mean.
    controls : float array, shape (blocks, K, W, L)
    real : float array, shape (blocks, L)
        1, or 0 for padding.
    share : float array, shape (blocks, L)
        Of the row in its product's units.
    zone : int array, shape (blocks, L)
        Zone of each row; Z, one past the last, for padding.
    product : int array, shape (blocks, L // G)
        Product of each tile.
    """

    units: Leaf
    weight: Leaf
    price: Leaf
    controls: Leaf
    real: Leaf
    share: Leaf
    zone: Leaf
    product: Leaf


class Common(NamedTuple):
    """Data that rows share.

    Attributes
    ----------
    covariates : float array, shape (Z, q)
        Of the zones; 0 for padding.
    season : float array, shape (0 or 2, W)
        Sine and cosine of the year, where products have seasons.
    is_zone, is_product : float arrays, shapes (Z,) and (n,)
        1, or 0 for padding.
    """

    covariates: Leaf
    season: Leaf
    is_zone: Leaf
    is_product: Leaf


@dataclass(frozen=True)
class Tiling:
    """A zoned panel and its rows in tiles.

    Attributes
    ----------
    panel : ZonedPanel
    tiles : Tiles
    common : Common
    place : int array, shape (R,)
        Where each of the panel's rows lies among those of all blocks.
    """

    panel: ZonedPanel
    tiles: Tiles
    common: Common
    place: np.ndarray

    @classmethod
    def cut(cls, panel: ZonedPanel, priors: Priors) -> "Tiling":
        """Cut a zoned panel's rows into tiles.

        Raises
        ------
        ValueError
            If prices are not to be centred.
        """
        if not priors.centred_price:
            raise ValueError("zones go with centred prices only; use the default priors")
        rows = panel.rows
        R, W, Z = panel.n_rows, rows.units.shape[1], padded_size(panel.n_zones)
        size = tile_size(panel.product_of_row, panel.n_products)
        place, product = _places(panel.product_of_row, panel.n_products, size)
        tiles_a_block = _BLOCK // size
        blocks = padded_size(-(-len(product) // tiles_a_block), 1)
        in_blocks = partial(_in_blocks, place, blocks)

        of_tile = np.zeros(blocks * tiles_a_block, np.int32)
        of_tile[: len(product)] = product
        n = padded_size(panel.n_products, _PRODUCTS)
        covariates = np.zeros((Z, len(panel.covariate)), np.float32)
        covariates[: panel.n_zones] = panel.covariates
        season = np.zeros((0, W), np.float32)
        if priors.season is not None:
            season = np.zeros((2, W), np.float32)
            season[:, : rows.n_periods] = sine_and_cosine(rows.period)
        return cls(
            panel,
            Tiles(
                **_counted(panel, in_blocks),
                share=in_blocks(panel.share_of_units().astype(np.float32)),
                price=in_blocks(rows.centred_log_price()),
                controls=in_blocks(np.where(rows.observed[..., None], rows.controls, np.float32(0.0))),
                real=in_blocks(np.ones(R, np.float32)),
                zone=in_blocks(panel.zone_of_row.astype(np.int32), Z),
                product=of_tile.reshape(blocks, tiles_a_block),
            ),
            Common(
                covariates,
                season,
                (np.arange(Z) < panel.n_zones).astype(np.float32),
                (np.arange(n) < panel.n_products).astype(np.float32),
            ),
            place,
        )

    def under(self, weight: np.ndarray) -> "Tiling":
        """Give the same tiles under other weights of the rows' cells, shape (N, W).

        Zones keep their shares of units: a product over all its zones is to be the same quantity in parts of the sales.
        """
        panel = replace(self.panel, rows=replace(self.panel.rows, weight=weight))
        counted = _counted(panel, partial(_in_blocks, self.place, len(self.tiles.real)))
        return replace(self, panel=panel, tiles=self.tiles._replace(**counted))

    def by_row(self, blocks: np.ndarray) -> np.ndarray:
        """(blocks, ..., L) to (..., R)."""
        whole = np.moveaxis(blocks, 0, -2)
        return whole.reshape(*whole.shape[:-2], -1)[..., self.place].astype(np.float64)

    def in_blocks(self, values: np.ndarray) -> np.ndarray:
        """Undo `by_row`, with zeros for padding."""
        blocks, size = self.tiles.real.shape
        padded = np.zeros((*values.shape[:-1], blocks * size), np.float32)
        padded[..., self.place] = values
        return np.ascontiguousarray(np.moveaxis(padded.reshape(*values.shape[:-1], blocks, size), -2, 0))


def _in_blocks(place: np.ndarray, blocks: int, array: np.ndarray, padding: float = 0.0) -> np.ndarray:
    """(N, ..., K) of rows to (blocks, K, ..., L)."""
    padded = np.full((blocks * _BLOCK, *array.shape[1:]), padding, array.dtype)
    padded[place] = array[: len(place)]
    padded = padded.reshape(blocks, _BLOCK, *array.shape[1:])
    return np.ascontiguousarray(np.transpose(padded, (0, *range(padded.ndim - 1, 0, -1))))


def _counted(panel: ZonedPanel, in_blocks: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    """Lay out what cells' weights decide."""
    rows = panel.rows
    return {
        "units": in_blocks(np.where(rows.weight > 0, rows.units, np.float32(0.0))),
        "weight": in_blocks(rows.weight),
    }


def tile_size(product_of_row: np.ndarray, products: int) -> int:
    """Choose the largest of the sizes that pad to a sixteenth more rows than the best of them, or fewer."""
    count = np.bincount(product_of_row, minlength=products)
    padded = {size: int((-(-count // size) * size).sum()) for size in _SIZES}
    return max(size for size in _SIZES if padded[size] <= 1.0625 * min(padded.values()))


def _places(product_of_row: np.ndarray, products: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Give where rows lie, a tile after the other, shape (R,), and each tile's product."""
    count = np.bincount(product_of_row, minlength=products)
    tiles = -(-count // size)
    first = np.concatenate([[0], np.cumsum(tiles)])[:-1] * size
    order = np.argsort(product_of_row, kind="stable")
    among = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    place = np.empty(len(order), np.int64)
    place[order] = first[product_of_row[order]] + among
    return place, np.repeat(np.arange(products), tiles)


def lanes(data: Tiles, of_product: jax.Array) -> jax.Array:
    """Give a block's rows what their products have, (..., L), of (n, ...)."""
    of_tile = jnp.moveaxis(of_product[data.product], 0, -1)
    return jnp.repeat(of_tile, data.real.shape[-1] // len(data.product), axis=-1)


def by_tile(data: Tiles, values: jax.Array) -> jax.Array:
    """Cut (..., L) of a block into tiles, (..., tiles, G)."""
    return values.reshape(*values.shape[:-1], len(data.product), -1)


def product_of_lane(data: Tiles) -> jax.Array:
    """Product of each of a block's rows, shape (L,)."""
    return jnp.repeat(data.product, data.real.shape[-1] // len(data.product))
