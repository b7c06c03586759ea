import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elasticity_assets.inference.panel import (
    CategorySales,
    counting_unit,
    distinct_texts,
    numbered_controls,
    padded_products,
    padded_size,
    panel_from_sales,
    with_control,
    with_controls,
)
from elasticity_assets.inference.zoned_panel import zoned_panel_from_sales

pytestmark = pytest.mark.quick

WEEKS = np.datetime64("2026-01-05") + 7 * np.arange(4)


def sales() -> dict[str, np.ndarray]:
    """Product b in weeks 0, 2 and 3, product a in week 1, in no order."""
    return {
        "product": np.array(["b", "a", "b", "b"]),
        "period": WEEKS[[2, 1, 0, 3]],
        "units": np.array([3.0, 1.5, 4.0, 5.0]),
        "price": np.array([2.0, 1.0, 4.0, 8.0]),
    }


def test_sales_are_laid_out_products_down_and_periods_across():
    panel = panel_from_sales(
        CategorySales("c", **sales(), controls={"display": np.array([0.5, np.nan, 0.25, 1.0])})
    )
    assert (panel.n_products, panel.n_periods, panel.n_obs) == (2, 4, 4)
    assert list(panel.product) == ["a", "b"]
    np.testing.assert_array_equal(panel.period, WEEKS)
    assert panel.units.shape == panel.log_price.shape == panel.observed.shape == (8, 8)
    assert panel.controls.shape == (8, 8, 1)
    assert panel.unit == 0.1
    np.testing.assert_array_equal(panel.units[:2, :4], [[0, 15, 0, 0], [40, 0, 30, 50]])
    np.testing.assert_allclose(panel.log_price[1, :4], np.log([4, 1, 2, 8]), rtol=1e-6)
    np.testing.assert_array_equal(panel.controls[1, :4, 0], [0.25, 0, 0.5, 1])
    assert panel.controls[0, 1, 0] == 0  # a missing control counts as 0
    assert {panel.units.dtype, panel.log_price.dtype, panel.controls.dtype} == {np.dtype(np.float32)}
    outside = ~panel.observed
    assert not panel.units[outside].any()
    assert not panel.log_price[outside].any()
    assert not panel.zero_truncated


def test_texts_are_numbered_in_whatever_order_they_stand():
    for texts in (["b", "b", "a", "b"], ["a", "a", "b", "cc"], ["x"], []):
        distinct, place = distinct_texts(np.array(texts, dtype=object))
        assert distinct.tolist() == sorted(set(texts))
        assert distinct.dtype.kind == "U"
        assert [distinct[number] for number in place] == texts


def test_controls_added_at_once_are_as_added_one_by_one():
    panel = panel_from_sales(CategorySales("c", **sales(), controls={"display": np.ones(4)}))
    values = {"week": np.arange(4.0), **numbered_controls("cell", [np.ones((2, 4)), np.full((2, 4), 2.0)])}
    together, alone = with_controls(panel, values), panel
    for name, of_control in values.items():
        alone = with_control(alone, name, of_control)
    assert together.control == alone.control == ("display", "week", "cell", "cell_1")
    np.testing.assert_array_equal(together.controls, alone.controls)
    assert not together.controls[~panel.observed].any()
    np.testing.assert_array_equal(together.controls[1, [0, 2, 3]], [[1, 0, 1, 2], [1, 2, 1, 2], [1, 3, 1, 2]])


def test_weeks_without_a_row_between_random_ones_are_not_filled():
    for marked, filled in (([1, 0, 1, 0], False), ([1, 0, 0, 1], True), ([0, 0, 1, 1], True)):
        randomized = np.array(marked, dtype=bool)
        panel = panel_from_sales(CategorySales("c", **sales(), randomized=randomized, missing_periods="zero"))
        # Of product b, week 1 has no row; weeks 0 and 2 are the third and first row.
        assert panel.observed[1, :4].tolist() == [True, filled, True, True]
        assert panel.weight[1, 1] == filled


def test_prices_are_centred_by_product():
    panel = panel_from_sales(CategorySales("c", **sales()))
    centred = panel.centred_log_price()
    np.testing.assert_allclose(centred[1, [0, 2, 3]], np.log([4, 2, 8]) - np.log(4), atol=1e-6)
    assert centred[0, 1] == 0  # one price only
    assert not centred[~panel.observed].any()
    np.testing.assert_allclose(panel.mean_log_price()[:2], [0, np.log(4)], atol=1e-6)


def test_zeros_are_filled_between_first_and_last_sale_at_the_last_price():
    panel = panel_from_sales(CategorySales("c", **sales(), missing_periods="zero"))
    np.testing.assert_array_equal(panel.observed[1, :4], True)
    np.testing.assert_array_equal(panel.units[1, :4] * np.float32(panel.unit), [4, 0, 3, 5])
    np.testing.assert_allclose(panel.log_price[1, 1], np.log(4), rtol=1e-6)
    assert panel.observed[0].sum() == 1  # sold once: nothing is known before and after
    assert not panel.observed[2:].any()
    assert not panel.observed[:, 4:].any()


def test_a_regular_price_is_the_price_paid_where_it_is_unknown_or_lower():
    rows = sales()
    panel = panel_from_sales(CategorySales("c", **rows, regular_price=np.array([2.5, 2.0, np.nan, 4.0])))
    assert panel.has_regular_price
    np.testing.assert_allclose(panel.log_regular_price[1, [0, 2, 3]], np.log([4, 2.5, 8]), rtol=1e-6)
    np.testing.assert_allclose(
        panel.log_discount()[:2, :4], [[0, np.log(0.5), 0, 0], [0, 0, np.log(0.8), 0]], atol=1e-6
    )
    assert panel.log_regular_price.dtype == np.float32
    assert not panel.log_regular_price[~panel.observed].any()
    filled = panel_from_sales(
        CategorySales("c", **rows, regular_price=rows["price"] * 2, missing_periods="zero")
    )
    np.testing.assert_allclose(filled.log_regular_price[1, 1], np.log(8), rtol=1e-6)  # as the price before it
    assert not panel_from_sales(CategorySales("c", **rows)).has_regular_price


def test_truncated_panels_say_so_and_stay_as_they_are():
    panel = panel_from_sales(CategorySales("c", **sales(), missing_periods="truncated"))
    assert panel.zero_truncated
    assert panel.n_obs == 4


def test_more_periods_can_be_asked_for_than_were_sold_in():
    periods = np.datetime64("2026-01-05") + 7 * np.arange(6)
    panel = panel_from_sales(CategorySales("c", **sales(), periods=periods))
    assert panel.n_periods == 6
    assert panel.n_obs == 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": np.array([1.0, 0.0, 1.0, 1.0])}, "category 'c': a price is not positive"),
        ({"price": np.array([1.0, np.nan, 1.0, 1.0])}, "a price is not positive"),
        ({"period": WEEKS[[2, 1, 2, 3]]}, "a product-period occurs twice"),
        ({"periods": WEEKS[:3]}, "a sale lies in a period that is not among `periods`"),
        ({"missing_periods": "guess"}, "missing_periods is 'guess'; use unobserved, truncated or zero"),
    ],
)
def test_what_cannot_be_a_panel_is_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        panel_from_sales(CategorySales("c", **sales() | change))


def test_covariates_of_zones_are_standardised_and_have_their_mean_where_they_are_not_known():
    """Dollars and thousands of dollars are the same; one that says nothing of the zones is nothing."""
    zones = np.array(["a", "b", "c", "d"])
    week = np.array(["2024-01-01"] * 4, "datetime64[D]")
    sales = CategorySales("soup", np.full(4, "p"), week, np.ones(4), np.ones(4))
    of_zones = {
        "dollars": {"a": 10_000.0, "b": 30_000.0, "c": 20_000.0},
        "thousands": {"a": 10.0, "b": 30.0, "c": 20.0},
        "alike": dict.fromkeys("abcd", 0.1),
        "unknown": {},
    }
    panel = zoned_panel_from_sales(sales, zones, of_zones)
    width = np.sqrt(1.5)
    np.testing.assert_allclose(
        panel.covariates.T, [[-width, width, 0.0, 0.0]] * 2 + [[0.0] * 4] * 2, atol=1e-6
    )


def test_no_two_products_in_zones_are_called_alike():
    """Fits find their rows again by these names."""
    named = {**sales(), "product": np.array(["a @ b", "a", "a\x1fb", "a"]), "period": WEEKS}
    panel = zoned_panel_from_sales(CategorySales("c", **named), np.array(["c", "b @ c", "c", "b\x1fc"]), {})
    assert len(set(panel.rows.product)) == panel.n_rows == 4


def test_the_order_of_rows_does_not_matter():
    shuffled = {name: values[[3, 1, 0, 2]] for name, values in sales().items()}
    first, second = (
        panel_from_sales(CategorySales("c", **sales())),
        panel_from_sales(CategorySales("c", **shuffled)),
    )
    for name in ("product", "period", "units", "log_price", "observed"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@given(size=st.integers(1, 10_000_000))
@settings(deadline=None)
def test_padding_wastes_little_and_gives_few_shapes(size):
    padded = padded_size(size)
    assert padded >= max(size, 8)
    assert padded % 8 == 0
    assert padded_size(padded) == padded
    if size > 64:
        assert padded < size * 1.125 + 1


def test_categories_of_any_size_have_few_shapes():
    sizes = {padded_products(n) for n in range(1, 2049)}
    assert sorted(sizes) == [8, 16, 32, 64, 128, 256, 512, 1024, *range(1152, 2049, 128)]
    assert all(padded_products(n) >= n for n in range(1, 5000))


def test_there_are_eight_sizes_to_each_doubling():
    assert sorted({padded_size(size) for size in range(1, 65)}) == [8, 16, 24, 32, 40, 48, 56, 64]
    assert len({padded_size(size) for size in range(1025, 2049)}) == 8


@pytest.mark.parametrize(
    ("units", "unit"),
    [
        ([3.0, 1.0, 0.0], 1.0),
        ([3.7, 1.2, 0.1], 0.1),
        ([0.25, 13.5], 0.01),
        ([*np.arange(100.0), 0.5], 1.0),  # a single odd row
        ([1 / 7, 2 / 7], 0.001),  # nothing makes them whole
        ([5_000_000.5, 2.25], 1.0),  # too large to be counted in less
    ],
)
def test_units_are_counted_in_what_makes_them_whole(units: list[float], unit: float) -> None:
    assert counting_unit(np.array(units)) == unit
