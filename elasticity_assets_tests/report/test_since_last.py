"""What changed since the refit before is told, and what did not move is not."""

import numpy as np
import pytest

from elasticity_assets.report.since_last import MOST_MOVES, compared, since_last
from elasticity_assets_tests.report.made_up import history, product_elasticity, refits_row

pytestmark = pytest.mark.quick


def test_elasticities_that_left_their_interval_are_named_the_furthest_first() -> None:
    products = product_elasticity("soup", 30)
    before = history(products)
    away = np.where(np.arange(30) < 20, 1.0 + np.arange(30) / 10, 0.1)
    for column in ("elasticity", "elasticity_q05", "elasticity_q95"):
        before[column] -= away * (1 if column != "elasticity_q95" else 2)
    found = since_last(refits_row(1), refits_row(2), before, products)
    assert (
        found.summary
        == "20 of 30 elasticities that both refits estimated left the 90% interval that they had."
    )
    assert (found.n_moved, len(found.moves)) == (20, MOST_MOVES)
    assert (found.moves[0].product, found.moves[0].change) == ("p19", "+2.90")
    assert found.moves[0].before == "−4.40 (−4.90 to −5.80)"
    assert (found.facts, found.notes) == ({}, [])
    assert found.began == "2026-01-12 06:00"


def test_of_earlier_versions_the_interval_is_worked_out_and_only_estimates_are_compared() -> None:
    products = product_elasticity("soup", 3)
    before = history(products).assign(
        elasticity=[-1.5, -2.5, -2.5], elasticity_q05=np.nan, elasticity_q95=None
    )
    before["estimated"] = [True, True, False]
    both = compared(before, products)
    assert both["moved"].tolist() == [False, True, False]
    assert both["elasticity_q05_before"].round(2).tolist() == [-1.99, -2.99, -2.99]
    assert both["sds"].round(2).tolist() == [0.0, 2.36, 2.36]


def test_sales_products_and_failures_that_changed_are_told() -> None:
    products = product_elasticity("soup", 15)
    before = history(product_elasticity("bread", 3))
    found = since_last(
        refits_row(1, failed=["bread"], rows_rejected=7, n_files=2),
        refits_row(2, failed=["soup"]),
        before,
        products,
    )
    assert found.facts == {"sales files": ("2", "1", "−1"), "rows rejected": ("7", "0", "−7")}
    new, gone, category, mended, failed = found.notes
    assert new.startswith("15 products new: ")
    assert new.endswith(" and 5 more.")
    assert gone.startswith("3 products no longer there: ")
    assert "p0 (bread)" in gone
    assert category == "Categories no longer there: bread."
    assert mended == "Refitted again after a failure: bread."
    assert failed == "Failed this time, and not the time before: soup."
    assert found.n_moved == 0
