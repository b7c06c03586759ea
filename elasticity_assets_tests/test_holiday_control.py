"""Days that are public holidays, counted by period."""

import socket

import numpy as np
import pytest

from elasticity_assets.holiday_control import check_region, holidays_in_periods

pytestmark = pytest.mark.quick


def days(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[D]")


@pytest.mark.parametrize(
    ("region", "length", "periods", "expected"),
    [
        ("US", "day", ("2024-07-03", "2024-07-04", "2024-12-25"), [0, 1, 1]),
        # Thanksgiving; Christmas; New Year's Day on the Monday; Independence Day 2021 a Sunday, its day off a Monday.
        ("US", "week", ("2024-11-25", "2024-12-23", "2023-12-25", "2024-01-01"), [1, 1, 1, 1]),
        ("US", "week", ("2021-06-28", "2021-07-05", "2021-07-12"), [1, 1, 0]),
        # Good Friday and Easter Monday lie in two weeks; Christmas has two days; the week over New Year.
        ("DE", "week", ("2024-03-25", "2024-04-01", "2024-12-23", "2024-12-30"), [1, 1, 2, 1]),
        ("DE", "month", ("2024-05-01", "2024-06-01", "2024-12-01", "2025-01-01"), [3, 0, 2, 1]),
        # Epiphany, Corpus Christi and All Saints' Day are Bavaria's and not Berlin's, whose own is March 8th.
        ("DE-BY", "month", ("2024-01-01", "2024-03-01", "2024-05-01", "2024-11-01"), [2, 1, 4, 1]),
        ("DE-BE", "month", ("2024-01-01", "2024-03-01", "2024-05-01", "2024-11-01"), [1, 2, 3, 0]),
        ("DE-BY", "day", (), []),
    ],
)
def test_days_that_are_holidays_are_counted(
    region: str, length: str, periods: tuple[str, ...], expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", None)  # nothing is looked up
    found = holidays_in_periods(region, days(*periods), length)
    assert found.dtype == np.float64
    assert found.tolist() == expected


def test_periods_of_all_lengths_hold_the_same_days() -> None:
    every = np.arange("2018-01-01", "2023-12-31", dtype="datetime64[D]")  # from a Monday to a Saturday
    by_day = holidays_in_periods("FR", every, "day").sum()
    by_week = holidays_in_periods("FR", every[::7], "week").sum()
    months = np.arange("2018-01", "2024-01", dtype="datetime64[M]").astype("datetime64[D]")
    assert by_day == by_week == holidays_in_periods("FR", months, "month").sum() == 6 * 11
    assert holidays_in_periods("FR", months[::3], "quarter").sum() == by_day


@pytest.mark.parametrize("region", ["XX", "us", "", "-BY", "DE-", "DE-ZZ", "HolidayBase", "DE-BY-M"])
def test_an_unknown_region_is_one_line(region: str) -> None:
    with pytest.raises(ValueError, match="no public holidays are known of") as error:
        check_region(region)
    assert repr(region) in str(error.value)
    assert "\n" not in str(error.value)
