"""Public holidays as a control: how many of a period's days are holidays, by the library `holidays`.

The library computes them, so that nothing is looked up anywhere, and the same version gives the same days.
"""

import numpy as np

HOLIDAYS = "holidays"
"""Name of the control."""


def check_region(region: str) -> None:
    """Refuse a region whose holidays are not known.

    Raises
    ------
    ValueError
        In one line.
    """
    holidays_of(region, np.array([2000]))


def holidays_of(region: str, years: np.ndarray) -> np.ndarray:
    """Public holidays of some years, days off in lieu included; datetime64[D], ascending.

    Parameters
    ----------
    region : str
        ISO 3166 code of a country, or of a part of one: US, DE-BY.
    years : int array

    Raises
    ------
    ValueError
        If the region's holidays are not known.
    """
    import holidays  # noqa: PLC0415  (it takes long)

    country, dash, subdivision = region.partition("-")
    try:
        if country not in holidays.list_supported_countries() or (dash and not subdivision):
            raise NotImplementedError
        days = holidays.country_holidays(country, subdiv=subdivision or None, years=map(int, years))
    except NotImplementedError:
        raise ValueError(
            f"no public holidays are known of {region!r}; give a country's code, such as US, "
            "or a part's, such as DE-BY"
        ) from None
    return np.array(sorted(days), dtype="datetime64[D]")


def holidays_in_periods(region: str, period: np.ndarray, length: str) -> np.ndarray:
    """Count the days of each period that are public holidays.

    Parameters
    ----------
    region : str
        As of `holidays_of`.
    period : datetime64[D] array, shape (T,)
        First days of the periods.
    length : {'day', 'week', 'month', 'quarter'}

    Returns
    -------
    float array, shape (T,)
    """
    if length in ("month", "quarter"):
        end = (period.astype("datetime64[M]") + {"month": 1, "quarter": 3}[length]).astype("datetime64[D]")
    else:
        end = period + {"day": 1, "week": 7}[length]
    years = np.unique([period.astype("datetime64[Y]"), (end - 1).astype("datetime64[Y]")])
    days = holidays_of(region, years.astype(int) + 1970)
    return (np.searchsorted(days, end) - np.searchsorted(days, period)).astype(np.float64)
