"""Which currencies prices are in, by the signs and codes beside them: several in one column cannot be averaged."""

from collections.abc import Iterable

import duckdb

from elasticity_assets.ingestion.accounts import CurrencyMark
from elasticity_assets.warehouse.sql import statement

_DOLLARS = (
    "USD AUD BBD BSD BZD CAD FJD GYD HKD JMD KYD LRD NAD NZD SBD SGD SRD TTD TWD XCD ARS CLP COP CUP MXN UYU"
)
_CURRENCIES = {
    "$": _DOLLARS, "US$": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "NZ$": "NZD", "HK$": "HKD",
    "S$": "SGD", "NT$": "TWD", "MX$": "MXN", "R$": "BRL", "B/": "PAB", "BS": "BOB VES", "DIN": "RSD", "DM": "MAD",
    "EURO": "EUR", "EUROS": "EUR",
    "FR": "CHF XAF XOF XPF", "FT": "HUF", "KM": "BAM", "KR": "SEK NOK DKK ISK", "KČ": "CZK",
    "LEI": "RON MDL", "R": "ZAR", "RM": "MYR", "RMB": "CNY", "RP": "IDR", "RS": "INR PKR LKR NPR MUR", "S": "PEN",
    "SFR": "CHF", "TL": "TRY", "ZŁ": "PLN", "ГРН": "UAH", "ДИН": "RSD MKD", "ЛВ": "BGN", "Р": "RUB", "РУБ": "RUB",
    "元": "CNY TWD HKD", "円": "JPY", "원": "KRW", "£": "GBP EGP LBP SYP FKP GIP SHP", "¥": "JPY CNY", "￥": "JPY CNY",
    "€": "EUR", "₩": "KRW", "₪": "ILS", "₫": "VND", "₱": "PHP", "₴": "UAH", "₹": "INR", "₺": "TRY", "₽": "RUB",
    "₨": "INR PKR LKR NPR MUR", "₦": "NGN", "฿": "THB",
}  # fmt: skip


def one_currency(marks: Iterable[str]) -> bool:
    """Whether marks, letters in capitals, may all stand for one currency, as € and EUR, or $ and CAD."""
    meanings = [_meanings(mark) for mark in marks]
    return not meanings or bool(frozenset.intersection(*meanings))


def _meanings(mark: str) -> frozenset[str]:
    """Currencies that a mark may stand for; of one such as $USD what both parts do."""
    letters = "".join(filter(str.isalpha, mark))
    if mark in _CURRENCIES or mark == letters:
        return frozenset(_CURRENCIES.get(mark, mark).split())
    sign = "".join(character for character in mark if not character.isalpha())
    of_sign = frozenset(_CURRENCIES.get(sign, sign).split())
    return of_sign & _meanings(letters) or of_sign if letters else of_sign


def several_currencies(connection: duckdb.DuckDBPyConnection) -> tuple[CurrencyMark, ...]:
    """Find the marks of currencies beside the prices that `weekly_sales` is made of, where they are of more than one.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the warehouse, once `unused_sales` is filled.

    Returns
    -------
    tuple of CurrencyMark
        Empty where all may stand for one currency.
    """
    rows = connection.execute(statement("currency_marks")).fetchall()
    if one_currency(mark for mark, *_ in rows):
        return ()
    places = [places for _, _, places, _ in rows]
    shared = {kind for kind in ("file", "store", "category") if len({place[kind] for place in places}) == 1}
    return tuple(
        CurrencyMark(
            mark,
            n_rows,
            next((f"{kind} {place!r}" for kind, place in places.items() if place and kind not in shared), ""),
            "{}, line {}: product {!r} at {:.12g}".format(*example),
        )
        for mark, n_rows, places, example in rows
    )
