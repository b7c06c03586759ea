"""What `elasticity refit` and `elasticity status` say of published tables, as text."""

from pathlib import Path

import pytest

from elasticity_assets.command.status import prices_text
from elasticity_assets_tests.support.small_warehouse import fill

pytestmark = pytest.mark.quick


def test_the_changes_that_bring_most_follow_how_many_there_are(warehouse_file) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        connection.execute("UPDATE recommended_prices SET action = 'keep', price_recommended = price_now")
        connection.execute(
            "UPDATE recommended_prices SET action = 'raise', price_recommended = 2.4, revenue_change = 1.5, "
            "prob_gain = 0.9 WHERE product = '2'"
        )
        (n_kept,) = connection.execute(
            "SELECT count(*) FROM recommended_prices WHERE product <> '2'"
        ).fetchone()
    told, header, *changes = prices_text(Path(warehouse_file.path), "profit").splitlines()
    assert (
        told
        == f"recommended prices: 1 to raise, 0 to lower, {n_kept} to keep; those that bring most a period:"
    )
    assert header.split() == ["category", "product", "price", "recommended", "gain", "in", "probability"]
    assert [change.split()[-6:] for change in changes] == [["2", "2.25", "2.40", "1.50", "revenue", "0.90"]]
    with warehouse_file.write() as connection:
        connection.execute("UPDATE recommended_prices SET action = 'keep', price_recommended = price_now")
    assert (
        prices_text(Path(warehouse_file.path), "profit")
        == f"recommended prices: 0 to raise, 0 to lower, {n_kept + 1} to keep"
    )


@pytest.mark.parametrize(
    ("objective", "first"),
    [
        ("profit", ["5.00", "profit"]),
        ("revenue", ["9.00", "revenue"]),
        ("margin_floor", ["9.00", "revenue"]),
        ("units", ["4.00", "units"]),
    ],
)
def test_what_brings_most_is_what_the_objective_counts(
    warehouse_file, objective: str, first: list[str]
) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        connection.execute(
            "UPDATE recommended_prices SET action = 'lower', prob_gain = 0.9, profit_change = 5, revenue_change = 2, "
            "units_change = 1 WHERE product = '1'"
        )
        connection.execute(
            "UPDATE recommended_prices SET action = 'lower', prob_gain = 0.9, profit_change = -1, revenue_change = 9, "
            "units_change = 4 WHERE product = '2'"
        )
    changes = prices_text(Path(warehouse_file.path), objective).splitlines()[2:]
    assert changes[0].split()[-3:-1] == first
