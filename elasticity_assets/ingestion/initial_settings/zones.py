"""Where prices are set by zone: a column that says so, or stores that share their prices."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from elasticity_assets.ingestion.initial_settings.column_names import ideas, name_strengths, words
from elasticity_assets.ingestion.initial_settings.column_profiles import ColumnProfile
from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark, example
from elasticity_assets.warehouse.sql import quoted, statement

MATERIAL = 0.1
"""Share of the product-days on sale in several places on which their prices differ, at least, where zones are taken."""

MOST_PRODUCTS = 50
"""Products looked at: those with the most rows."""

MOST_CELLS = 2000
"""Product-days by which stores are compared."""

FEWEST_SHARED = 10
"""Product-days on sale in both of two stores, at least, to say that they share their prices."""

_SAYS_ZONE = {"zone", "zones", "zona", "zonas"}
_SAME = 0.005  # of a price: revenues are rounded
_ALWAYS = 0.98  # of the product-days that two stores share


@dataclass(frozen=True)
class Zones:
    """What is known of zones.

    Attributes
    ----------
    decision : Decision or None
        The column of zones.
    remark : Remark or None
    of_store : dict of str to str
        Zones that no column has: of each store, where groups of stores always share their prices; else empty.
    """

    decision: Decision | None = None
    remark: Remark | None = None
    of_store: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Priced:
    """The rows of `read_rows` with prices: a product's column, and expressions of its period and the price paid."""

    connection: duckdb.DuckDBPyConnection
    product: str
    day: str
    paid: str


def names_zones(profile: ColumnProfile) -> bool:
    """Whether a column's name says that it is a zone, such as `price_zone`, and its values are no prices of zones."""
    is_money = profile.is_number and profile.with_point.n_fractions > 0.5 * profile.n_given
    return bool(_SAYS_ZONE & set(words(profile.name))) and not is_money


def find_zones(
    priced: Priced, profiles: Mapping[str, ColumnProfile], store: str | None, taken: set[str]
) -> Zones:
    """Find the column of zones, or stores that share their prices.

    Parameters
    ----------
    priced : Priced
    profiles : mapping of str to ColumnProfile
        Columns that may hold zones, that of stores included.
    store : str or None
        Column of stores.
    taken : set of str
        Columns of other roles.
    """
    places = [
        name
        for name, profile in profiles.items()
        if (name == store or name not in taken)
        and profile.n_distinct >= 2
        and not profile.is_date_type
        and ("place" in ideas(name) or names_zones(profile))
        and "store" not in name_strengths(name)
    ]
    for name in sorted(places, key=lambda name: not names_zones(profiles[name])):
        found = _differences(priced, name)
        if found.share >= MATERIAL and (names_zones(profiles[name]) or found.is_of_places):
            return Zones(Decision("columns.zone", name, f"{found.sentence}: elasticities are by {name}."))
        if names_zones(profiles[name]):
            return Zones(
                remark=Remark(f"{name!r} is not taken for zones, as prices hardly differ between them.")
            )
    if store is None or store not in profiles or profiles[store].n_distinct < 2:
        return Zones()
    found = _differences(priced, store)
    if found.share < MATERIAL or not found.is_of_places:
        return Zones()
    zone_of_store = stores_that_share_prices(priced, store)
    if zone_of_store:
        return Zones(of_store=zone_of_store, remark=_of_groups(found, zone_of_store))
    why = (
        f"{found.sentence}. Elasticities are of all stores together, at a price over all of them; for those by store, "
        f"name the column as columns.zone: {store}, or a column of groups of stores that are priced alike."
    )
    return Zones(remark=Remark(why))


@dataclass(frozen=True)
class _Differences:
    """How prices of a product differ between places on one day.

    Attributes
    ----------
    share : float
        Of product-days on sale in several places, those with several prices.
    within : float
        Of product-days and places with several rows, those with several prices.
    sentence : str
        The share, with an example; without a full stop.
    """

    share: float
    within: float
    sentence: str

    @property
    def is_of_places(self) -> bool:
        """Whether prices go with places, and not with each sale."""
        return self.within <= 0.5 * self.share


def _differences(priced: Priced, place: str) -> _Differences:
    columns = {name: getattr(priced, name) for name in ("day", "paid")}
    keys = {"product": quoted(priced.product), "place": quoted(place)}
    priced.connection.execute(statement("prices_of_places", **columns, **keys), {"products": MOST_PRODUCTS})
    of_places = priced.connection.execute(statement("differing_prices"), {"same": _SAME})
    n, n_differing, *shown = of_places.fetchall()[0]
    (within,) = priced.connection.execute(statement("differing_within_places"), {"same": _SAME}).fetchall()[0]
    if not n_differing:
        return _Differences(0.0, 0.0, "")
    product, day, low, low_place, high, high_place = shown
    return _Differences(
        n_differing / n,
        within or 0.0,
        f"In {n_differing / n:.0%} of the cases the values of {place!r} had several prices of a product at a time, "
        f"such as of {example(product)} on {day}: {low:,.2f} in {example(low_place)}, {high:,.2f} in "
        f"{example(high_place)}",
    )


def stores_that_share_prices(priced: Priced, store: str) -> dict[str, str]:
    """Group stores that always had the same price as each other, of what both sold.

    Parameters
    ----------
    priced : Priced
        With the table `prices_of_places` of its stores.
    store : str

    Returns
    -------
    dict of str to str
        Zone of each store, the largest first; empty where fewer than half of the stores share theirs.
    """
    rows = priced.connection.execute(statement("prices_to_compare"), {"cells": MOST_CELLS}).fetchnumpy()
    names, at = np.unique(np.asarray(rows["place"], dtype=str), return_inverse=True)
    if not len(names):
        return {}
    prices = np.full((len(names), int(np.max(rows["cell"])) + 1), np.nan)
    prices[at, np.asarray(rows["cell"])] = np.log(np.asarray(rows["price"], dtype=float))
    groups: list[list[int]] = []
    shared = np.empty((0, prices.shape[1]))
    for number in np.argsort(-np.isfinite(prices).sum(axis=1), kind="stable"):
        apart = np.abs(shared - prices[number])
        n_both = np.isfinite(apart).sum(axis=1)
        alike = np.sum(apart <= _SAME, axis=1) >= _ALWAYS * n_both
        fits = np.flatnonzero(alike & (n_both >= FEWEST_SHARED))
        if len(fits):
            best = fits[np.argmax(n_both[fits])]
            groups[best].append(number)
            shared[best] = np.where(np.isfinite(shared[best]), shared[best], prices[number])
        else:
            groups.append([number])
            shared = np.vstack([shared, prices[number]])
            if len(groups) > 0.5 * len(names):
                return {}
    if len(groups) < 2:
        return {}
    groups.sort(key=lambda group: -len(group))
    return {
        str(names[one]): f"zone {number}"
        for number, group in enumerate(groups, start=1)
        for one in sorted(group)
    }


def _of_groups(found: _Differences, zone_of_store: Mapping[str, str]) -> Remark:
    groups: dict[str, list[str]] = {}
    for store, zone in zone_of_store.items():
        groups.setdefault(zone, []).append(store)
    first, members = next(iter(groups.items()))
    return Remark(
        f"{found.sentence}; the {len(zone_of_store):,} stores are {len(groups):,} zones within which prices were "
        f"always the same, such as {first} with {len(members):,} stores, {example(*members[:3])}."
    )


def write_zones(folder: Path, store: str, zone_of_store: Mapping[str, str]) -> Path | None:
    """Write the table of stores' zones, `zones.csv`, into a folder; None where it holds another already."""
    path = folder / "zones.csv"
    rows: Sequence[Sequence[str]] = [(store, "price_zone"), *sorted(zone_of_store.items())]
    try:
        with path.open("x", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)
    except FileExistsError:
        return None
    return path
