"""What of prices was drawn at random, told apart from the rest."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.instrument import first_stage
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales, take_products
from elasticity_assets.inference.price_lags import lagged, with_price_lags
from elasticity_assets.inference.randomized_prices import (
    is_price_not_random,
    randomized_prices,
    with_price_not_random,
)

pytestmark = pytest.mark.quick

N, T = 8, 40
DRAWN = np.arange(T) % 5 == 2


def panel(marked: np.ndarray | None) -> Panel:
    """Prices of eight products, of which one product-period is not sold; `marked` has shape (N, T)."""
    rng = np.random.default_rng(0)
    product, period = np.divmod(np.arange(N * T), T)
    kept = np.arange(N * T) != T + 2
    return panel_from_sales(
        CategorySales(
            "c",
            product[kept].astype(str),
            (np.datetime64("2024-01-01") + 7 * period)[kept],
            np.full(N * T, 3.0)[kept],
            np.exp(rng.normal(1.0, 0.2, N * T))[kept],
            cost=np.exp(rng.normal(0.0, 0.2, N * T))[kept],
            randomized=None if marked is None else marked.ravel()[kept],
        )
    )


def test_what_was_drawn_has_no_mean_and_nothing_outside_its_periods() -> None:
    sales = with_price_lags(panel(np.tile(DRAWN, (N, 1))), 2)
    found = randomized_prices(sales)
    assert found is not None
    assert (found.products, found.cells, found.doubt) == (N, N * DRAWN.sum() - 1, "")
    drawn = sales.centred_log_price()[:N, :T] - found.rest[0]
    drawn[~sales.observed[:N, :T]] = 0.0
    assert np.abs(drawn[:, ~DRAWN]).max() < 1e-6
    assert np.abs(drawn.sum(axis=1)).max() < 1e-5
    assert np.ptp(found.rest[0][0, DRAWN]) < 1e-6  # the test's own level stays with the rest
    np.testing.assert_array_equal(found.rest[2], lagged(found.rest[0], 2))


def test_it_is_added_once_for_each_lag_and_no_part_of_a_first_stage() -> None:
    sales = with_price_lags(panel(np.tile(DRAWN, (N, 1))), 2)
    used = with_price_not_random(sales)
    added = [name for name in used.control if is_price_not_random(name)]
    assert added == ["price_not_random", "price_not_random_1", "price_not_random_2"]
    assert first_stage(used).strength == first_stage(sales).strength


@pytest.mark.parametrize(
    ("marked", "said"),
    [
        (np.arange(N * T).reshape(N, T) < 4 * T, "in 160 product-periods of 4 products: too few"),
        (np.tile(np.arange(T) < 2, (N, 1)), "in 16 product-periods of 8 products: too few"),
        (np.tile(np.arange(T) == 7, (N, 1)), "in 0 product-periods of 0 products: too few"),
    ],
    ids=["products", "periods", "one period"],
)
def test_too_few_are_said_and_not_used(marked: np.ndarray, said: str) -> None:
    sales = panel(marked)
    if marked[0, 2]:  # of the second product, that is not sold
        said = said.replace("160", "159")
    assert said in randomized_prices(sales).doubt
    assert with_price_not_random(sales) is sales


def moved(by: np.ndarray, marked: np.ndarray) -> Panel:
    """Those sales at log prices of shape (N, T)."""
    sales = panel(np.tile(marked, (N, 1)))
    log_price = np.zeros_like(sales.log_price)
    log_price[:N, :T] = by
    return replace(sales, log_price=np.where(sales.observed, log_price, 0.0).astype(np.float32))


def test_the_levels_of_two_tests_are_not_drawn() -> None:
    draws = np.random.default_rng(1).choice([-0.1, 0.1], (N, T))
    marked = (np.arange(T) < 8) | (np.arange(T) >= 30)
    found = randomized_prices(moved(draws + (np.arange(T) >= 20), marked))
    for test in (slice(0, 8), slice(30, T)):
        assert np.ptp(found.rest[0][0, test]) < 1e-6
    assert found.rest[0][0, 35] - found.rest[0][0, 3] == pytest.approx(1.0, abs=0.15)
    # A lone period far from the others was set by somebody, as far as anybody knows.
    lone = randomized_prices(moved(draws, (np.arange(T) < 8) | (np.arange(T) == 30)))
    assert lone.cells == N * 8 - 1


def test_prices_that_hardly_change_from_one_period_to_the_next_were_not_drawn() -> None:
    blocks = np.repeat(np.random.default_rng(1).normal(0.0, 0.1, (N, T // 10)), 10, axis=1)
    sales = moved(blocks, np.ones(T, np.bool_))
    found = randomized_prices(sales)
    assert found.changing < 0.1
    assert found.doubt.startswith(f"prices marked as drawn at random change between {found.changing:.0%} of")
    assert with_price_not_random(sales) is sales
    # With lags, a price stays as many periods before it changes.
    stays = np.repeat(np.random.default_rng(1).choice([-0.1, 0.1], (N, T // 4)), 4, axis=1)
    sales = moved(stays, np.ones(T, np.bool_))
    assert randomized_prices(sales).doubt
    assert not randomized_prices(with_price_lags(sales, 3)).doubt


def test_a_file_of_random_prices_alone_has_no_others_to_compare() -> None:
    assert not randomized_prices(panel(np.ones((N, T), np.bool_))).comparable
    draws = np.random.default_rng(1).normal(0.0, 0.1, (N, T))
    assert not randomized_prices(moved(np.where(DRAWN, draws, 0.0), DRAWN)).comparable
    assert randomized_prices(moved(draws, DRAWN)).comparable


def test_files_that_mark_none_have_none() -> None:
    assert randomized_prices(panel(None)) is None


def test_some_products_keep_their_marks() -> None:
    marked = np.tile(DRAWN, (N, 1))
    marked[3] = False
    part = take_products(panel(marked), np.array([3, 5]))
    assert part.randomized[:2].sum(axis=1).tolist() == [0, DRAWN.sum()]
    # What a suspect cell's price was says nothing.
    suspect = replace(part, weight=np.zeros_like(part.weight))
    assert randomized_prices(suspect).cells == 0
