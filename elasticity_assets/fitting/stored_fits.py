"""Stored model inputs and fits, each with its identity, which is read without the arrays beside it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

import duckdb
import numpy as np

from elasticity_assets.fitting.packing import (
    content_hash,
    holds,
    pack,
    unpack,
    with_prefix,
    without_prefix,
)
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, TwoSlopes
from elasticity_assets.inference.zoned_panel import ZonedPanel
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets.ingestion.panels import CategoryPanels
from elasticity_assets.warehouse.schema import Table, qualified
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import utc_now

T = TypeVar("T")
Posterior = CategoryPosterior | ZonedPosterior
"""What a fit ends with: of products, or of products in zones."""
Fit = TypeVar("Fit", CategoryPosterior, ZonedPosterior)


@dataclass(frozen=True)
class FitRecord:
    """Which fit a stored posterior is.

    Attributes
    ----------
    fit_id : str
    fitted_at : str
        When the fit ended: UTC, ISO 8601 without zone.
    inputs_hash : str
        Hash of the panel and the choices it was fitted with.
    n_obs : int
        Observed product-periods.
    """

    fit_id: str
    fitted_at: str
    inputs_hash: str
    n_obs: int

    @property
    def fitted(self) -> datetime:
        """`fitted_at` as a naive time in UTC."""
        return datetime.fromisoformat(self.fitted_at)


@dataclass(frozen=True)
class PanelRecord:
    """Which panel a stored one is.

    Attributes
    ----------
    panel_hash : str
        Of its arrays.
    """

    panel_hash: str


POOLED_FITS = "pooled_fits"
"""Name of the array, beside a stored hierarchy's own, that holds the fit_ids pooled."""


_BY_ZONE = "by_zone."
"""How the names of arrays by product and zone begin, beside a category's own."""
_OF_PRODUCTS = "products."


def pack_panels(panels: CategoryPanels) -> dict[str, np.ndarray]:
    """Turn a category's panels into a dict of arrays that says by one hash which they are."""
    arrays = pack(panels.panel)
    if panels.zoned is not None:
        arrays |= with_prefix(_BY_ZONE, pack(panels.zoned))
    return {**arrays, **pack(PanelRecord(content_hash(arrays)))}


def unpack_panels(arrays: Mapping[str, np.ndarray]) -> CategoryPanels:
    """Rebuild a category's panels.

    Raises
    ------
    ValueError
        If another version stored them.
    """
    by_zone = without_prefix(_BY_ZONE, arrays)
    return CategoryPanels(unpack(Panel, arrays), unpack(ZonedPanel, by_zone) if by_zone else None)


def panel_hash(arrays: Mapping[str, np.ndarray]) -> str:
    """Read which panel is stored.

    Raises
    ------
    ValueError
        If another version stored it.
    """
    return unpack(PanelRecord, arrays).panel_hash


def new_record(inputs_hash: str, n_obs: int) -> FitRecord:
    """Name a fit that has just ended."""
    return FitRecord(uuid.uuid4().hex, utc_now().isoformat(), inputs_hash, n_obs)


def of_same_products(panels: Mapping[str, np.ndarray], fit: Mapping[str, np.ndarray]) -> bool:
    """Whether stored panels are of the products, and of the products in zones, that a stored fit has."""
    return all(
        np.array_equal(panels.get(of_panel, np.empty(0)), fit.get(of_fit, np.empty(0)))
        for of_panel, of_fit in (("product", "product"), (f"{_BY_ZONE}rows.product", f"{_BY_ZONE}row"))
    )


def products_of(posterior: Posterior) -> CategoryPosterior:
    """Posterior of a category's products, over all their zones together where prices are set by zone."""
    return posterior.products if isinstance(posterior, ZonedPosterior) else posterior


def pack_fit(posterior: Posterior, record: FitRecord) -> dict[str, np.ndarray]:
    """Turn a fit into a dict of arrays: its products' as they are, and those by zone beside them."""
    arrays = pack(products_of(posterior))
    if isinstance(posterior, ZonedPosterior):
        own = {name: array for name, array in pack(posterior).items() if not name.startswith(_OF_PRODUCTS)}
        arrays |= with_prefix(_BY_ZONE, own)
    return {**arrays, **pack(record)}


def unpack_posterior(arrays: Mapping[str, np.ndarray]) -> Posterior:
    """Rebuild a fit's posterior: that of products in zones where the category was fitted so.

    Raises
    ------
    ValueError
        If another version stored it.
    """
    own = without_prefix(_BY_ZONE, arrays)
    if not own:
        return unpack(CategoryPosterior, arrays)
    return unpack(ZonedPosterior, {**own, **with_prefix(_OF_PRODUCTS, arrays)})


def fit_record(arrays: Mapping[str, np.ndarray]) -> FitRecord | None:
    """Read which fit is stored; None where another version made it."""
    if not (holds(CategoryPosterior, arrays) and holds(FitRecord, arrays) and _holds_zones(arrays)):
        return None
    return unpack(FitRecord, arrays)


def _holds_zones(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether what is stored by zone, if anything is, is of this version."""
    names = {name.removeprefix(_BY_ZONE) for name in arrays if name.startswith(_BY_ZONE)}
    return not names or names >= {field.name for field in fields(ZonedPosterior)} - {"products"}


def readable_fit(arrays: Mapping[str, np.ndarray]) -> tuple[Posterior, FitRecord] | None:
    """Rebuild a fit, or None where another version made it: the category is then fitted anew."""
    record = fit_record(arrays)
    return None if record is None else (unpack_posterior(arrays), record)


def of_fit(
    kind: type[T], stored: Mapping[str, Mapping[str, np.ndarray]], key: str, record: FitRecord
) -> T | None:
    """Rebuild what was stored beside a fit's record; None where it is missing or of another fit.

    Parameters
    ----------
    kind : dataclass
        What was stored.
    stored : mapping of partition key to arrays
    key : str
    record : FitRecord
        Of the fit that it has to belong to.
    """
    arrays = stored.get(key, {})
    return unpack(kind, arrays) if is_of_fit(kind, arrays, record) else None


def is_of_fit(kind: type[Any], arrays: Mapping[str, np.ndarray], record: FitRecord) -> bool:
    """Whether arrays hold something of this kind, of this version and of this fit."""
    here = holds(kind, arrays) and holds(FitRecord, arrays)
    return here and unpack(FitRecord, arrays).fit_id == record.fit_id


def check_finite(posterior: Fit) -> Fit:
    """Return the posterior, if every moment that is published is a number.

    Raises
    ------
    FloatingPointError
        If one is not.
    """
    published = ("weight", "category_mean", "category_var", "product_mean", "product_var", "control_mean")
    moments = {name: getattr(products_of(posterior), name) for name in published}
    if isinstance(posterior, ZonedPosterior):
        moments |= {name: getattr(posterior, name) for name in ("row_mean", "row_var")}
    for name, moment in moments.items():
        if not np.isfinite(moment).all():
            raise FloatingPointError(f"the fit ended with {name} not finite")
    return posterior


def check_finite_slopes(slopes: TwoSlopes) -> TwoSlopes:
    """Return the two slopes, if every moment that is published is a number.

    Raises
    ------
    FloatingPointError
        If one is not.
    """
    for name, summary in (
        ("regular", slopes.regular),
        ("lasting regular", slopes.regular_long_run),
        ("promotion", slopes.promotion),
    ):
        if not all(
            np.isfinite(moment).all() for moment in (summary.mean, summary.sd, summary.q05, summary.q95)
        ):
            raise FloatingPointError(f"the fit ended with the {name} slope not finite")
    return slopes


def fits_in(connection: duckdb.DuckDBPyConnection, table: Table) -> dict[str, set[str]]:
    """Find the fit_ids, by category, that a table's rows come from; more than one where a run was killed.

    Parameters
    ----------
    connection : duckdb connection
    table : Table
        With the columns category and fit_id.
    """
    found: dict[str, set[str]] = {}
    for category, fit_id in connection.execute(statement("fits_of_table", table=qualified(table))).fetchall():
        found.setdefault(category, set()).add(fit_id)
    return found
