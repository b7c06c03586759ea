"""Numbers are written as people read them, whatever they are."""

import numpy as np
import pytest

from elasticity_assets.report.numbers import (
    amount,
    change,
    counted,
    digits_of,
    how_sure,
    interval,
    number,
    percent,
    probability,
)

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.997, "virtually certain, over 99%"),
        (0.985, "extremely likely, 98%"),
        (0.95, "extremely likely, 95%"),
        (0.92, "very likely, 92%"),
        (0.66, "likely, 66%"),
        (0.5, "more likely than not, 50%"),
        (0.4, "about as likely as not, 40%"),
        (0.2, "unlikely, 20%"),
        (0.001, "unlikely, under 1%"),
        (1.0, "virtually certain, over 99%"),
        (None, "–"),
        (np.nan, "–"),
    ],
)
def test_how_sure_is_said_in_words_and_figures(value: float | None, said: str) -> None:
    assert how_sure(value) == said


@pytest.mark.parametrize(
    ("prices", "digits"),
    [([0.88, 1.5], 2), ([100.0, 25000.0], 0), ([0.0125, 0.02], 3), ([np.nan], 0), ([], 0), ([1.0, 1.1], 2)],
)
def test_prices_have_the_decimals_that_tell_them_apart(prices: list[float], digits: int) -> None:
    assert digits_of(np.array(prices)) == digits


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.234, "+1.23"),
        (-0.5, "−0.50"),
        (0.0, "+0.00"),
        (0.0004, "+0.0004"),
        (-12345.6, "−12,346"),
        (999.999, "+1,000.00"),
        (None, "–"),
        (np.inf, "–"),
    ],
)
def test_amounts_have_a_sign_and_no_currency(value: float | None, said: str) -> None:
    assert amount(value, 2, signed=True) == said


def test_what_is_no_number_is_a_dash() -> None:
    assert [number(np.nan), percent(None), change(np.nan), probability(None)] == ["–"] * 4
    assert interval(-1.0, None, 1) == "−1.0 to –"


def test_small_things_are_written_right() -> None:
    assert (number(-0.001), number(-1234.5, 1), percent(-0.1234)) == ("0.00", "−1,234.5", "−12.3%")
    assert (change(0.0999), change(-0.05), change(0.5)) == ("+10%", "−5.0%", "+50%")
    assert (counted(1, "price", "prices"), counted(1200, "price", "prices")) == ("1 price", "1,200 prices")
