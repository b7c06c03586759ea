"""The table of products holds what a reader needs of very many."""

import pandas as pd
import pytest

from elasticity_assets.report.answer import recommendations
from elasticity_assets.report.product_table import product_rows
from elasticity_assets_tests.report.made_up import SCRIPT, product_elasticity, recommended

pytestmark = pytest.mark.quick


def rows_of(n: int) -> pd.DataFrame:
    products = product_elasticity("soup", n)
    return recommendations(products, recommended(products), "profit")


def test_changes_come_first_then_the_flagged_then_the_largest() -> None:
    rows = product_rows(rows_of(7))
    assert [row.change.action for row in rows] == ["raise", "raise", *["keep"] * 5]
    assert [row.change.product for row in rows][:2] == ["p4", "p1"]
    assert rows[2].change.careful == SCRIPT
    assert [row.change.product for row in rows][3:] == ["p5", "p3", "p2", "p0"]
    assert rows[0].elasticity == "−1.50 (−2.00 to 0.00)"
    assert rows[0].revenue == "10.00"
    assert rows[3].change.why.startswith("0.9 would bring more")
    assert (rows[3].change.gain, rows[3].change.price_change) == ("", "")


def test_of_very_many_the_flagged_keep_their_room() -> None:
    changes = [row.change for row in product_rows(rows_of(901), most=9)]
    assert [change.action for change in changes] == ["raise"] * 8 + ["keep"]
    assert changes[8].careful == SCRIPT
    assert changes[0].product == "p898"
