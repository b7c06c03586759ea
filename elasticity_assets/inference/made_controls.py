"""Controls that are made from the sales themselves, beside those that files give.

Public holidays are none: they are observed, as the files' own controls are.
"""

from collections.abc import Callable

from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_CHANGE, CATEGORY_PRICE_INDEX
from elasticity_assets.inference.instrument import is_price_residual
from elasticity_assets.inference.price_lags import is_lag
from elasticity_assets.inference.randomized_prices import is_price_not_random
from elasticity_assets.inference.season import is_price_season
from elasticity_assets.inference.substitute_prices import SUBSTITUTE_PRICES

MADE_BY: dict[str, Callable[[str], bool]] = {
    "every fit": lambda name: name.casefold() in (CATEGORY_PRICE_INDEX, CATEGORY_PRICE_CHANGE),
    "fit.season": is_price_season,
    "sales.columns.substitutes": lambda name: name.casefold() == SUBSTITUTE_PRICES,
    "fit.instrument": lambda name: is_price_residual(name) or is_price_not_random(name),
    "fit.lags": is_lag,
}
"""Whether a control's name is of those made by each: every fit, or what a setting asks for."""


def is_made(control: str) -> bool:
    """Whether a control is made from the sales, and not one that files may have."""
    return any(makes(control) for makes in MADE_BY.values())
