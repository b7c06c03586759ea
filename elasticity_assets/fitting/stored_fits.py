"""Stored model inputs and fits, each with its identity, which is read without the arrays beside it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import duckdb
import numpy as np

from elasticity_assets.fitting.packing import content_hash, holds, pack, unpack
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, TwoSlopes
from elasticity_assets.warehouse.schema import Table, qualified
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import utc_now

T = TypeVar("T")


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


def pack_panel(panel: Panel) -> dict[str, np.ndarray]:
    """Turn a panel into a dict of arrays that says by one hash which panel it is."""
    arrays = pack(panel)
    return {**arrays, **pack(PanelRecord(content_hash(arrays)))}


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


def pack_fit(posterior: CategoryPosterior, record: FitRecord) -> dict[str, np.ndarray]:
    """Turn a fit into a dict of arrays."""
    return {**pack(posterior), **pack(record)}


def fit_record(arrays: Mapping[str, np.ndarray]) -> FitRecord | None:
    """Read which fit is stored; None where another version made it."""
    if not (holds(CategoryPosterior, arrays) and holds(FitRecord, arrays)):
        return None
    return unpack(FitRecord, arrays)


def readable_fit(arrays: Mapping[str, np.ndarray]) -> tuple[CategoryPosterior, FitRecord] | None:
    """Rebuild a fit, or None where another version made it: the category is then fitted anew."""
    record = fit_record(arrays)
    return None if record is None else (unpack(CategoryPosterior, arrays), record)


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


def check_finite(posterior: CategoryPosterior) -> CategoryPosterior:
    """Return the posterior, if every moment that is published is a number.

    Raises
    ------
    FloatingPointError
        If one is not.
    """
    for name in ("weight", "category_mean", "category_var", "product_mean", "product_var", "control_mean"):
        if not np.isfinite(getattr(posterior, name)).all():
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
