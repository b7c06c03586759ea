"""Small sets of products for tests of prices."""

from typing import Any

import numpy as np

from elasticity_assets.pricing.products import Products


def market(n: int = 2, **values: Any) -> Products:
    """Products p0, p1, ... of price 2, 10 units and elasticity -2, but for what is given: a value, or one each."""
    n = max([n, *(len(value) for value in values.values() if np.ndim(value))])
    plain: dict[str, Any] = {
        "product": [f"p{number}" for number in range(n)],
        "price": 2.0,
        "price_paid": values.get("price", 2.0),
        "units": 10.0,
        "cost": np.nan,
        "elasticity": -2.0,
        "elasticity_sd": 0.1,
        "category": 0,
        "index_effect": 0.0,
        "index_effect_sd": 0.0,
        "estimated": True,
        "confounded": False,
        "tested": True,
        "price_min": 1.5,
        "price_max": 2.5,
    }
    return Products(
        **{name: np.broadcast_to(np.array(value), (n,)) for name, value in (plain | values).items()}
    )
