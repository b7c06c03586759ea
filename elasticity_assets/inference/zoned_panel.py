"""One category's model input where prices are set by zone: a panel whose rows are products in zones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from elasticity_assets.inference.panel import (
    CategorySales,
    Panel,
    distinct_texts,
    panel_from_sales,
    take_products,
)


@dataclass(frozen=True)
class ZonedPanel:
    """Sales of one category by product and zone: a store, a region, a channel or a price zone.

    Attributes
    ----------
    rows : Panel
        Its "products" are the R rows, a product in a zone each, under codes of their own: centring, weights and lags
        are a row's.
    product : array of str, shape (n,)
        Product codes, sorted.
    zone : array of str, shape (Z,)
        Zone codes, sorted.
    product_of_row, zone_of_row : int arrays, shape (R,)
        Which product, and which zone, a row is.
    covariate : tuple of str, length q
    covariates : float32 array, shape (Z, q)
        What is known of the zones, less its mean over them, in units of its sd over them: it explains why the same
        product is more elastic in one.
    """

    rows: Panel
    product: np.ndarray
    zone: np.ndarray
    product_of_row: np.ndarray
    zone_of_row: np.ndarray
    covariate: tuple[str, ...]
    covariates: np.ndarray

    @property
    def n_products(self) -> int:
        """Number of products n."""
        return len(self.product)

    @property
    def n_zones(self) -> int:
        """Number of zones Z."""
        return len(self.zone)

    @property
    def n_rows(self) -> int:
        """Number of rows R: products in zones."""
        return len(self.product_of_row)

    def within_zones(self, group: Sequence[str]) -> np.ndarray:
        """Give groups of products to rows, those of other zones apart: array of str, shape (R,); empty stays empty.

        Parameters
        ----------
        group : sequence of str, length n
        """
        of_row = np.asarray(group, dtype=str)[self.product_of_row]
        apart = np.char.add(np.char.add(of_row, " in zone "), self.zone_of_row.astype(str))
        return np.where(of_row == "", "", apart)

    def share_of_units(self) -> np.ndarray:
        """Share of each row in the units that its product sold in all zones, shape (R,); alike where none were sold."""
        count = np.bincount(self.product_of_row, minlength=self.n_products)
        sold = (self.rows.units * self.rows.weight)[: self.n_rows].sum(axis=1, dtype=np.float64)
        total = np.bincount(self.product_of_row, sold, minlength=self.n_products)[self.product_of_row]
        return np.where(total > 0, sold / np.where(total > 0, total, 1.0), 1.0 / count[self.product_of_row])


def zoned_panel_from_sales(
    sales: CategorySales,
    zone: np.ndarray,
    covariates: Mapping[str, Mapping[str, float]] | None = None,
    *,
    unit: float | None = None,
) -> ZonedPanel:
    """Lay one category's sales out by product and zone.

    Parameters
    ----------
    sales : CategorySales
        A row a product, zone and period.
    zone : array of str, shape (rows,)
        Zone of each.
    covariates : mapping of str to mapping of zone to float, optional
        By name; a zone that is left out has the mean.
    unit : float, optional
        As of `panel_from_sales`.

    Raises
    ------
    ValueError
        As of `panel_from_sales`.
    """
    product, product_at = distinct_texts(sales.product)
    zones, zone_at = distinct_texts(np.asarray(zone, dtype=str))
    pair, row_at = np.unique(product_at * len(zones) + zone_at, return_inverse=True)
    # Numbers of as many digits sort as the pairs do.
    width = len(str(len(pair)))
    panel = panel_from_sales(replace(sales, product=np.char.zfill(row_at.astype(str), width)), unit=unit)
    of_row = pair // len(zones), pair % len(zones)
    # As JSON no two pairs are one text, whatever codes hold.
    pairs = zip(product[of_row[0]].tolist(), zones[of_row[1]].tolist(), strict=True)
    codes = np.array([json.dumps(pair) for pair in pairs], dtype=str)
    known = dict(covariates or {})
    values = np.array([[of_zone.get(str(name), np.nan) for of_zone in known.values()] for name in zones])
    # Single precision, so that the rounding of means over more rows makes no other panel.
    single = _standardised(values.reshape(len(zones), len(known))).astype(np.float32)
    return ZonedPanel(replace(panel, product=codes), product, zones, *of_row, tuple(known), single)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Take the means off columns, and put them in units of their sds; what is not given is the mean."""
    given = np.isfinite(values)
    n = np.maximum(given.sum(axis=0), 1)
    mean = np.where(given, values, 0.0).sum(axis=0) / n
    centred = np.where(given, values - mean, 0.0)
    sd = np.sqrt((centred**2).sum(axis=0) / n)
    return centred / np.where(sd > 1e-9 * np.abs(mean), sd, 1.0)


def some_products_and_zones(panel: ZonedPanel, products: int, zones: int, seed: int) -> ZonedPanel:
    """Take a random sample of the zones, then one of the products sold there; the panel itself if it has no more."""
    if panel.n_products <= products and panel.n_zones <= zones:
        return panel
    rng = np.random.default_rng(seed)
    rows = np.isin(panel.zone_of_row, rng.permutation(panel.n_zones)[:zones])
    there = np.unique(panel.product_of_row[rows])
    return take_rows(panel, rows & np.isin(panel.product_of_row, rng.permutation(there)[:products]))


def take_rows(panel: ZonedPanel, chosen: np.ndarray) -> ZonedPanel:
    """Take rows, bool, shape (R,), and the products and zones that they are of."""
    product, product_of_row = np.unique(panel.product_of_row[chosen], return_inverse=True)
    zone, zone_of_row = np.unique(panel.zone_of_row[chosen], return_inverse=True)
    return replace(
        panel,
        rows=take_products(panel.rows, np.flatnonzero(chosen)),
        product=panel.product[product],
        zone=panel.zone[zone],
        product_of_row=product_of_row,
        zone_of_row=zone_of_row,
        covariates=panel.covariates[zone],
    )
