"""Numbers for people: elasticities, prices and money at the sales' own scale, and how sure something is."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_MOST_DIGITS = 6
_WHOLE_FROM = 1000.0
"""Sums from here on are given without decimals."""
_SURE = (
    (0.99, "virtually certain"),
    (0.95, "extremely likely"),
    (0.90, "very likely"),
    (0.66, "likely"),
    (0.50, "more likely than not"),
    (0.33, "about as likely as not"),
)
"""Least probability of each word, as the IPCC's reports use them."""


def number(value: Any, digits: int = 2) -> str:
    """Write a number with a true minus sign; a dash for what is none."""
    if not _is_number(value):
        return "–"
    rounded = round(float(value), digits) + 0.0  # no minus before 0
    return f"{rounded:,.{digits}f}".replace("-", "−")


def counted(count: int, one: str, many: str) -> str:
    """Write how many of something there are, such as '1 price' or '1,200 prices'."""
    return f"{count:,} {one if count == 1 else many}"


def percent(value: Any) -> str:
    """Write a fraction as a percentage; a dash for what is none."""
    return f"{float(value):.1%}".replace("-", "−") if _is_number(value) else "–"


def change(value: Any) -> str:
    """Write a change, a fraction of what it was, as a signed percentage."""
    if not _is_number(value):
        return "–"
    small = abs(float(value)) < 0.0995
    return (
        f"{float(value) + 0.0:+.1%}".replace("-", "−") if small else f"{float(value):+.0%}".replace("-", "−")
    )


def elasticity_text(row: Mapping[str, Any]) -> str:
    """Give an elasticity with its 90% interval, of a row of any table that has these columns."""
    mean, low, high = (number(row[column]) for column in ("elasticity", "elasticity_q05", "elasticity_q95"))
    return f"{mean} ({low} to {high})"


def digits_of(prices: np.ndarray) -> int:
    """Count the decimals that tell these prices apart: none where all are whole, two or more otherwise.

    Parameters
    ----------
    prices : float array
        In the sales' currency, which nobody names; NaN is left out.
    """
    known = np.asarray(prices, np.float64)
    known = known[np.isfinite(known) & (known > 0)]
    if not len(known) or np.all(known == np.round(known)):
        return 0
    return int(np.clip(1 - np.floor(np.log10(np.quantile(known, 0.05))), 2, _MOST_DIGITS))


def amount(value: Any, digits: int, *, signed: bool = False) -> str:
    """Write money or units: with so many decimals below a thousand, whole above; never a zero for what is none."""
    if not _is_number(value):
        return "–"
    given = float(value)
    places = 0 if abs(given) >= _WHOLE_FROM else digits
    text = f"{given:{'+' * signed},.{places}f}"
    if given and not text.strip("+-0.,"):
        text = f"{given:{'+' * signed}.1g}"
    return text.replace("-", "−")


def interval(low: Any, high: Any, digits: int) -> str:
    """Write the ends of an interval of signed amounts."""
    return f"{amount(low, digits, signed=True)} to {amount(high, digits, signed=True)}"


def probability(value: Any) -> str:
    """Write a probability, never as 0 or 100%."""
    if not _is_number(value):
        return "–"
    if value > 0.995:
        return "over 99%"
    return "under 1%" if value < 0.005 else f"{value:.0%}"


def how_sure(value: Any) -> str:
    """Give a probability in words and figures."""
    if not _is_number(value):
        return "–"
    word = next((word for least, word in _SURE if value >= least), "unlikely")
    return f"{word}, {probability(value)}"


def _is_number(value: Any) -> bool:
    return value is not None and bool(np.isfinite(float(value)))
