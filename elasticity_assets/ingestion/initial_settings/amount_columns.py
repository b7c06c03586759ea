"""The columns of amounts, units or money, and what their numbers say of each other."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from elasticity_assets.ingestion.initial_settings.column_names import ideas, name_strengths
from elasticity_assets.ingestion.initial_settings.column_profiles import ColumnProfile, Numbers
from elasticity_assets.ingestion.initial_settings.decision import example
from elasticity_assets.warehouse.sql import quoted, statement

HOLDS = 0.97
"""Share of the rows in which something has to hold."""

MOST_COLUMNS = 9
"""Columns among which products are looked for."""

SURELY_LESS = 0.5
"""One variance is surely less than another if it is at most so large a part."""


@dataclass(frozen=True)
class Product:
    """Columns of which two multiply to the third in nearly every row: units x price = revenue."""

    units: str
    price: str
    revenue: str


@dataclass(frozen=True)
class Spreads:
    """How an amount varies within products, and how amount / units does.

    Attributes
    ----------
    amount, a_unit, units : float
        Mean variance of the log.
    amounts, a_units : float
        Mean share of different values, rounded to hundredths.
    """

    amount: float
    a_unit: float
    units: float
    amounts: float
    a_units: float

    @property
    def is_total(self) -> bool:
        """Whether the amount surely goes up with the units: that of a line, and not of a unit."""
        repeats = self.a_units < SURELY_LESS * self.amounts and self.a_unit <= self.amount
        return self.units > 0.01 and (self.a_unit < SURELY_LESS * self.amount or repeats)

    @property
    def is_a_unit(self) -> bool:
        """Whether the amount surely does not go with the units: a price, and no revenue."""
        repeats = self.amounts < SURELY_LESS * self.a_units and self.amount <= self.a_unit
        return self.units > self.amount and (self.amount < SURELY_LESS * self.a_unit or repeats)


@dataclass(frozen=True)
class AmountColumns:
    """Columns of the table `read_rows` that may hold amounts, and questions about them.

    Attributes
    ----------
    connection : duckdb.DuckDBPyConnection
    profiles : mapping of str to ColumnProfile
        Columns that are not taken yet.
    decimal : str
        The decimal mark.
    product : str or None
        Column of products.
    """

    connection: duckdb.DuckDBPyConnection
    profiles: Mapping[str, ColumnProfile]
    decimal: str
    product: str | None

    def named(self, role: str, *strengths: int) -> list[str]:
        """Columns of numbers whose names speak for a role, as strongly as the first of the strengths that any has."""
        for strength in strengths:
            found = [
                name
                for name, profile in self.profiles.items()
                if profile.is_number and name_strengths(name).get(role, 0) == strength
            ]
            if found:
                return found
        return []

    def unreadable(self, role: str) -> str | None:
        """Say which column's name speaks for a role, but holds too many texts; None if none does."""
        for name, profile in self.profiles.items():
            if profile.n_digits and not profile.is_number and name_strengths(name).get(role, 0) >= 2:
                value = profile.numbers(self.decimal).unreadable
                return f"{name!r} holds too many values that are no numbers, such as {example(value)}"
        return None

    def numbers(self, name: str) -> Numbers:
        """Return what a column's numbers look like."""
        return self.profiles[name].numbers(self.decimal)

    def is_whole(self, name: str) -> bool:
        """Whether all its numbers are whole."""
        return self.numbers(name).n_fractions == 0

    def shown(self, name: str) -> str:
        """Show a value."""
        return example(self.profiles[name].frequent[0])

    def share_where(self, condition: str, given: str) -> float:
        """Share of the rows where an SQL condition holds, among those where another one does."""
        ask = statement("share_where", condition=condition, given=given)
        hits, n = self.connection.execute(ask).fetchall()[0]
        return hits / n if n else 0.0

    def spreads(self, units: str, amount: str) -> Spreads | None:
        """Compare how an amount varies within products with how amount / units does; None if nothing can be told."""
        if self.product is None:
            return None
        u, a = quoted(units), quoted(amount)
        parts = {
            "amount": a,
            "units": u,
            "product": quoted(self.product),
        }
        *values, n = self.connection.execute(statement("spread_within_products", **parts)).fetchall()[0]
        return Spreads(*values) if n and None not in values else None

    def products(self) -> list[Product]:
        """Find columns that multiply to another in nearly every row, where their names allow it."""
        names = [
            name
            for name, profile in self.profiles.items()
            if profile.is_number
            and profile.n_distinct > 1
            and not profile.is_flag
            and (_ROLES & set(name_strengths(name)) or not ideas(name))
        ]
        names = sorted(names, key=lambda name: -max(name_strengths(name).values(), default=0))[:MOST_COLUMNS]
        pairs = list(itertools.combinations(names, 2))
        tried = [(one, other, third) for one, other in pairs for third in names if third not in (one, other)]
        if not tried:
            return []
        counts = ", ".join(_counts(*map(quoted, columns)) for columns in tried)
        found = self.connection.execute(statement("products_of_columns", counts=counts)).fetchall()[0]
        return [
            product
            for (one, other, third), (holds, n) in zip(tried, found, strict=True)
            if n >= 5 and holds >= HOLDS * n
            for product in (Product(one, other, third), Product(other, one, third))
            if _is_allowed(product)
        ]

    def product_shown(self, product: Product) -> str:
        """Show one row of a product."""
        columns = {role: quoted(getattr(product, role)) for role in ("units", "price", "revenue")}
        row = self.connection.execute(statement("row_of_product", **columns)).fetchone()
        sums = f": {row[0]:g} x {row[1]:g} = {row[2]:g}" if row else ""
        return f"{product.units!r} x {product.price!r} is {product.revenue!r}{sums}"


_ROLES = {"units", "price", "revenue", "regular_price"}


def _counts(a: str, b: str, c: str) -> str:
    """Count in SQL how often a x b is c, of the rows that tell; numbers may be rounded."""
    told = (
        f"{a} IS NOT NULL AND {b} IS NOT NULL AND {c} IS NOT NULL AND {a} NOT IN (0, 1) AND {b} NOT IN (0, 1)"
    )
    gap = f"abs({a} * {b} - {c})"
    close = f"{gap} <= 0.005 * least(abs({a}), abs({b})) + 0.01 + 0.001 * abs({c})"
    rounded = f"{gap} <= 0.005 * greatest(abs({a}), abs({b})) + 0.01 AND {gap} <= 0.05 * abs({c})"
    return f"[count_if({told} AND ({close} OR {rounded})), count_if({told})]"


def _is_allowed(product: Product) -> bool:
    """Whether no name speaks for another role only."""
    roles = (
        (product.units, {"units"}),
        (product.price, {"price", "regular_price"}),
        (product.revenue, {"revenue"}),
    )
    return all(not name_strengths(name) or allowed & set(name_strengths(name)) for name, allowed in roles)


def best_product(amounts: AmountColumns) -> Product | str | None:
    """Choose the product of columns that names speak for most; a sentence where two are as likely."""
    products = amounts.products()
    if not products:
        return None

    def weight(product: Product) -> tuple[int, int]:
        units, price = name_strengths(product.units), name_strengths(product.price)
        named = (
            2 * units.get("units", 0)
            + 2 * price.get("price", 0)
            + price.get("regular_price", 0)
            + name_strengths(product.revenue).get("revenue", 0)
        )
        return named, int(amounts.is_whole(product.units)) - int(amounts.is_whole(product.price))

    best = max(map(weight, products))
    likely = [product for product in products if weight(product) == best]
    if len({(product.units, product.price) for product in likely}) > 1:
        shown = ", and ".join(map(amounts.product_shown, likely[:2]))
        return f"{shown}; name the units and the price"
    return likely[0]
