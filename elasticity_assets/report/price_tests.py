"""Which prices to test next, as rows of text."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from elasticity_assets.report.numbers import amount, digits_of, number
from elasticity_assets.report.published_rows import records, text


@dataclass(frozen=True)
class PriceTest:
    """One test, as text."""

    product: str
    description: str
    category: str
    prices: str
    periods: str
    known: str
    gain: str
    why: str


def price_tests(tests: pd.DataFrame) -> list[PriceTest]:
    """Lay out the tests to run first.

    Parameters
    ----------
    tests : DataFrame
        Rows of recommended_tests with `product_description`, best first.
    """
    prices = ["price_now", "price_low", "price_high"]
    money = digits_of(tests[prices].to_numpy(np.float64))
    return [
        PriceTest(
            str(row["product"]),
            text(row["product_description"]),
            str(row["category"]),
            f"{amount(row['price_low'], money)} and {amount(row['price_high'], money)}",
            f"{row['periods']:,}",
            f"{number(row['elasticity'])} ± {number(row['elasticity_sd'])} → ± {number(row['sd_after'])}",
            amount(row["gain_per_period"], max(money, 2), signed=True),
            text(row["reason"]),
        )
        for row in records(tests)
    ]
