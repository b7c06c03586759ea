"""Products whose prices are moved together: one, its substitutes, or its category."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from elasticity_assets.pricing.products import CrossEffects
from elasticity_assets.pricing.together import Group
from elasticity_assets.published.recommended_prices import products_of, select_products
from elasticity_assets.warehouse.sql import statement

ALONE, SUBSTITUTES, CATEGORY = "this product", "its substitutes", "its category"
SCOPES = (ALONE, SUBSTITUTES, CATEGORY)
MOST = 50
"""Products whose prices are moved together: those that sell for most, or matter most."""


@dataclass(frozen=True)
class NamedGroup:
    """A group with what the page says of its products; sequences have length n.

    Attributes
    ----------
    group : Group
    description, flag : sequence of str
        Empty where there is none.
    recommended : float array, shape (n,)
        The recommended prices.
    """

    group: Group
    description: Sequence[str]
    flag: Sequence[str]
    recommended: np.ndarray


def read_group(connection: duckdb.DuckDBPyConnection, category: str, product: str, scope: str) -> NamedGroup:
    """Read what moving prices needs to know of a product, or of its group, the product itself first.

    Parameters
    ----------
    connection : duckdb connection
        To the published file.
    category, product : str
    scope : str
        Of SCOPES.
    """
    key = {"category": category, "product": product}
    codes = [product]
    if scope != ALONE:
        group = "group_of_category" if scope == CATEGORY else "group_of_substitutes"
        codes = [code for (code,) in connection.execute(statement(group), key | {"most": MOST}).fetchall()]
    members = {"category": category, "products": codes}
    select = statement(
        "group_to_move",
        products=select_products(),
        shared_sd=statement("shared_sd", elasticity_sd="p.elasticity_sd"),
    )
    found = connection.execute(select, members).fetchnumpy()
    effects = connection.execute(statement("cross_effects_in_group"), members).fetchnumpy()

    def numbers(name: str) -> np.ndarray:
        return np.ma.filled(np.ma.asarray(found[name], dtype=np.float64), np.nan)

    def texts(name: str) -> list[str]:
        return [value if isinstance(value, str) else "" for value in np.ma.filled(found[name], None)]

    cross = CrossEffects(**{name: np.asarray(values) for name, values in effects.items()})
    weight = float(next(iter(numbers("index_weight")), 0.0))  # of one category, the same for all
    return NamedGroup(
        Group(products_of(found), cross, numbers("shared_sd"), weight),
        texts("product_description"),
        texts("flag"),
        numbers("price_recommended"),
    )
