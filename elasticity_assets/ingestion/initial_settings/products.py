"""Which columns hold products, descriptions, categories and stores, by names and by what goes with what."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from elasticity_assets.ingestion.initial_settings.column_names import calendar_part, ideas, name_strengths
from elasticity_assets.ingestion.initial_settings.column_profiles import NEARLY_ALL, ColumnProfile
from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark, example
from elasticity_assets.warehouse.sql import quoted, statement

BELONGS = 0.95
"""Share of a product's rows that must have its one category, or its one description."""

SENSIBLE_SIZE = 5
"""Products of a middling category, at least, where there is a choice of levels."""

TOTALS = (
    r"((grand|sub|overall|all)[ _-]?)?totals?|total( g[eé]n[eé]ra[l]?| general| geral| generale| generaal)?"
    r"|gesamt(summe|ergebnis)?|summe|somme|totale|totaal|sum|all products|alle|todos|tous"
)
"""What rows of totals are called where a product's code should be."""


@dataclass(frozen=True)
class ProductsFound:
    """Columns of products and what goes with them.

    Attributes
    ----------
    decisions : list of Decision
    remarks : list of Remark
    product, category, store, description : str or None
    """

    decisions: list[Decision]
    remarks: list[Remark] = field(default_factory=list)
    product: str | None = None
    category: str | None = None
    store: str | None = None
    description: str | None = None


def find_products(
    connection: duckdb.DuckDBPyConnection, profiles: Mapping[str, ColumnProfile], n_rows: int, day: str | None
) -> ProductsFound:
    """Find the columns of products, descriptions, categories and stores in the table `read_rows`.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    profiles : mapping of str to ColumnProfile
        Columns that are not taken yet.
    n_rows : int
    day : str or None
        SQL expression of a row's period in `read_rows`.
    """
    things = _Things(connection, profiles, n_rows)
    product, decision = _product(things)
    if product is None:
        return ProductsFound([decision])
    decisions, remarks = [decision], []
    found_category, remark = _category(things, product)
    if remark is not None:
        remarks.append(remark)
    if found_category is not None:
        decisions.append(found_category)
    description = _description(things, product, {d.value for d in decisions})
    if description is not None:
        decisions.append(description)
    taken = {product, *(d.value for d in decisions)}
    store = _store(things, product, day, taken)
    if store is not None:
        decisions.append(store)
    values = {d.key: d.value for d in decisions}
    return ProductsFound(
        decisions,
        remarks,
        product,
        values.get("columns.category"),
        values.get("columns.store"),
        values.get("columns.description"),
    )


@dataclass(frozen=True)
class _Things:
    """The columns that may name things, and questions about them."""

    connection: duckdb.DuckDBPyConnection
    profiles: Mapping[str, ColumnProfile]
    n_rows: int

    def named(self, role: str, strength: int) -> list[str]:
        """Columns whose names speak for a role that strongly, and whose values do not speak against it."""
        return [
            name
            for name, profile in self.profiles.items()
            if name_strengths(name).get(role, 0) == strength
            and profile.n_distinct >= 1
            and not profile.is_date_type
            and not (profile.is_number and profile.with_point.n_fractions > 0.5 * profile.n_given)
        ]

    def repeats(self, name: str) -> bool:
        """Whether its values come back, unlike the numbers of lines and receipts."""
        profile = self.profiles[name]
        return profile.n_distinct <= max(0.5 * profile.n_given, 1) or profile.n_distinct <= 3

    def share(self, one: str, other: str) -> float:
        """Share of rows that have the one value of `other` that mostly goes with their value of `one`."""
        ask = statement("dependency", one=quoted(one), other=quoted(other))
        most, total = self.connection.execute(ask).fetchall()[0]
        return most / total if total else 0.0

    def goes_with(self, one: str, other: str) -> bool:
        """Whether nearly every value of `one` has one value of `other`."""
        return self.share(one, other) >= BELONGS

    def conflict(self, one: str, other: str) -> str:
        """Show a value of `one` that has several of `other`."""
        row = self.connection.execute(
            statement("example_of_two", one=quoted(one), other=quoted(other))
        ).fetchone()
        return f"{example(row[0])} has {example(*row[1])}" if row else ""


def _product(things: _Things) -> tuple[str | None, Decision]:
    for strength in (3, 2, 1):
        named = [name for name in things.named("product", strength) if things.profiles[name].n_distinct >= 1]
        candidates = [name for name in named if things.repeats(name)]
        if len(candidates) > 1:
            candidates = [name for name in candidates if things.profiles[name].n_distinct > 1] or candidates
        if len(candidates) == 1:
            return candidates[0], _taken(things, candidates[0], "by its name")
        if candidates:
            return _finest(things, candidates)
        if named:
            listed = example(*things.profiles[named[0]].some[:3])
            why = (
                f"{named[0]!r} has another value in nearly every row ({listed}), so it is no product's "
                "code; name the column of products"
            )
            return None, Decision("columns.product", None, why)
    return _product_by_values(things)


def _taken(things: _Things, name: str, how: str) -> Decision:
    profile = things.profiles[name]
    why = f"It has {profile.n_distinct:,} products, such as {example(*profile.frequent[:2])}; taken {how}."
    return Decision("columns.product", name, why)


def _is_code(things: _Things, name: str) -> bool:
    words = ideas(name)
    profile = things.profiles[name]
    return "code" in words or ("name" not in words and profile.n_digits >= 0.9 * profile.n_given)


def _finest(things: _Things, candidates: list[str]) -> tuple[str | None, Decision]:
    """Of several columns, the one that tells the others: of a code and its name, the code."""
    telling = [
        name
        for name in candidates
        if all(things.goes_with(name, other) for other in candidates if other != name)
    ]
    if not telling:
        a, b = candidates[:2]
        why = (
            f"{example(*candidates)} may be products, and neither tells the other ({things.conflict(a, b)}); "
            "name the one whose price is set"
        )
        return None, Decision("columns.product", None, why)
    codes = [name for name in telling if _is_code(things, name)]
    chosen = (codes or telling)[0]
    others = [name for name in candidates if name != chosen]
    return chosen, _taken(things, chosen, f"as each has one {example(*others)}")


def _product_by_values(things: _Things) -> tuple[str | None, Decision]:
    """Take the only column that may be products, whatever its name."""
    candidates = [
        name
        for name, profile in things.profiles.items()
        if profile.n_given >= 0.9 * things.n_rows
        and not profile.is_date_type
        and not profile.is_flag
        and 2 <= profile.n_distinct <= max(things.n_rows / 4, 2)
        and (not profile.is_number or profile.n_leading_zero > 0 or "code" in ideas(name))
        and not calendar_part(name)
        and not ideas(name)
        & {"store", "place", "person", "basket", "promo", "holiday", "derived", "occasion"}
    ]
    free = [name for name in candidates if name_strengths(name).get("category", 0) < 3]
    candidates = free or candidates
    if len(candidates) == 1:
        return candidates[0], _taken(
            things, candidates[0], "as the only column whose texts come back in row after row"
        )
    if len(candidates) > 1:
        telling = [
            name
            for name in candidates
            if all(things.goes_with(name, other) for other in candidates if other != name)
        ]
        if len(telling) == 1:
            others = [name for name in candidates if name != telling[0]]
            return telling[0], _taken(things, telling[0], f"as each of its texts has one {example(*others)}")
        why = f"{example(*candidates[:6])} may be products; name the one whose price is set"
        return None, Decision("columns.product", None, why)
    why = (
        "no column of products is found; name it, or add one (if all rows are of one product, with its name)"
    )
    return None, Decision("columns.product", None, why)


def _description(things: _Things, product: str, taken: set[str | None]) -> Decision | None:
    """Take a text that each product has one of: its description, its other name, or its type."""
    named = [*things.named("description", 3), *things.named("description", 2)]
    others = [name for name in things.named("product", 3) if things.goes_with(name, product)]
    types = [name for name in things.named("category", 2) if "product" in ideas(name)]
    for name in [*named, *others, *types]:
        if name not in taken and not things.profiles[name].is_number and things.goes_with(product, name):
            shown = things.profiles[name].frequent[0]
            return Decision("columns.description", name, f"Each product has one, such as {example(shown)}.")
    return None


def _category(things: _Things, product: str) -> tuple[Decision | None, Remark | None]:
    """Take the level of categories that has sensible sizes, if products belong to one each."""
    for strength in (3, 2):
        named = [
            name
            for name in things.named("category", strength)
            if name != product
            and not things.profiles[name].is_flag
            and things.profiles[name].n_given >= NEARLY_ALL * things.n_rows
        ]
        belonging = [name for name in named if things.goes_with(product, name)]
        levels: dict[str, tuple[float, int, int]] = {}
        for name in sorted(belonging, key=lambda name: things.profiles[name].n_distinct):
            ask = statement("products_a_category", product=quoted(product), category=quoted(name))
            levels[name] = things.connection.execute(ask).fetchall()[0]
        levels = {
            name: sizes
            for name, sizes in levels.items()
            if things.profiles[name].n_distinct < things.profiles[product].n_distinct
        }
        levels = _without_codes(things, levels)
        if levels:
            sensible = [name for name, (middle, _, _) in levels.items() if middle >= SENSIBLE_SIZE]
            chosen = sensible[-1] if sensible else next(iter(levels))
            _, least, most = levels[chosen]
            others = [f"{name!r} ({things.profiles[name].n_distinct:,})" for name in levels if name != chosen]
            n = things.profiles[chosen].n_distinct
            size = f"{least}" if least == most else f"{least} to {most}"
            why = (
                f"It has {n:,} categor{'y' if n == 1 else 'ies'} of {size} products each, "
                f"such as {example(things.profiles[chosen].frequent[0])}"
            )
            why += f"; other levels: {', '.join(others)}." if others else "."
            return Decision("columns.category", chosen, why), None
        spread = [name for name in named if name not in belonging]
        if spread:
            why = (
                f"{spread[0]!r} is not taken for categories, as products are in several: "
                f"{things.conflict(product, spread[0])}."
            )
            return None, Remark(why)
    return None, None


def _without_codes(
    things: _Things, levels: dict[str, tuple[float, int, int]]
) -> dict[str, tuple[float, int, int]]:
    """Of a level's code and name, keep the name."""
    dropped = set()
    for a, b in itertools.combinations(levels, 2):
        if things.profiles[a].n_distinct == things.profiles[b].n_distinct and things.goes_with(a, b):
            code = a if _is_code(things, a) and not _is_code(things, b) else b
            dropped.add(code)
    return {name: sizes for name, sizes in levels.items() if name not in dropped}


def _store(things: _Things, product: str, day: str | None, taken: set[str | None]) -> Decision | None:
    named = [name for name in things.named("store", 3) if name not in taken]
    codes = [name for name in named if _is_code(things, name)]
    for name in [*codes, *named]:
        profile = things.profiles[name]
        if things.repeats(name):
            return Decision(
                "columns.store",
                name,
                f"It has {profile.n_distinct:,} stores, such as {example(profile.frequent[0])}.",
            )
    if day is None:
        return None
    key = f"{quoted(product)}, {day}"
    n_rows, n_keys = things.connection.execute(statement("lines_a_key", key=key)).fetchall()[0]
    if n_keys > 0.7 * n_rows:
        return None
    for name, profile in things.profiles.items():
        if name in taken or "place" not in ideas(name) or profile.n_distinct < 2 or profile.is_date_type:
            continue
        _, finer = things.connection.execute(
            statement("lines_a_key", key=f"{key}, {quoted(name)}")
        ).fetchall()[0]
        if finer >= 0.95 * n_rows:
            why = (
                f"A product has one row a period in each of its {profile.n_distinct:,}, such as "
                f"{example(profile.frequent[0])}."
            )
            return Decision("columns.store", name, why)
    return None


def find_not_products(
    connection: duckdb.DuckDBPyConnection,
    profile: ColumnProfile,
    day: str | None,
    units: str | None,
    store: str | None,
) -> tuple[Decision | None, list[Remark]]:
    """Find totals and charges among the products' codes of `read_rows`."""
    product = quoted(profile.name)
    ask = statement("values_like", column=product, pattern=quoted(TOTALS, "'"))
    totals = {row[0] for row in connection.execute(ask).fetchall()}
    remarks = []
    sums: set[str] = set()
    if day is not None and units is not None:
        of_all = {"day": day, "units": quoted(units)}
        rows = connection.execute(statement("totals_among", column=product, **of_all)).fetchall()
        sums = {row[0] for row in rows}
        if store is not None:
            rows = connection.execute(statement("totals_among", column=quoted(store), **of_all)).fetchall()
            if rows:
                remarks.append(
                    Remark(
                        f"{example(rows[0][0])} of {store!r} sells in each period what all others "
                        "sell together: "
                        "a total, which counts sales twice; take its rows out of the files."
                    )
                )
    patterns, why = [], []
    found = sorted(totals | sums)
    if found:
        patterns += [re.escape(code).replace("\\ ", " ") for code in found]
        reason = "their units are those of all others together" if sums else "they are called so"
        why.append(f"{example(*found)}: taken for totals, as {reason}")
    if 0.95 * profile.n_given <= profile.n_digits:
        rows = connection.execute(statement("codes_without_digit", product=product)).fetchall()
        codes = [row[0] for row in rows if row[0] not in {code.upper() for code in found}]
        if codes:
            patterns.append("[^0-9]+")
            shown = ", ".join(codes[:5]) + (", ..." if len(codes) > 5 else "")
            why.append(f"codes without a digit, where nearly all have one, are taken for charges: {shown}")
    if not patterns:
        return None, remarks
    sentence = "; ".join(why)
    return Decision("not_products", patterns, f"Rejected: {sentence}."), remarks
