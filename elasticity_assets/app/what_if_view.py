"""Prices moved by hand, of one product or of its group: units, revenue and profit with their intervals at once."""

import numpy as np
import pandas as pd
import streamlit as st

from elasticity_assets.app import drawing, product_view
from elasticity_assets.app.groups import ALONE, MOST, SCOPES, NamedGroup, read_group
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.pricing.together import Outcome, Outcomes, outcomes
from elasticity_assets.report import charts
from elasticity_assets.settings import Settings

_REACH = 0.3
"""Of today's price: how far a slider goes to both sides."""
_MOVES = np.linspace(-0.2, 0.2, 17)


def show(file: PublishedFile, settings: Settings) -> None:
    """Show the what-if of the product that the address names, or that is searched for.

    Parameters
    ----------
    file : PublishedFile
    settings : Settings
    """
    chosen = product_view.pick(file)
    if chosen is None:
        return
    scope = st.segmented_control("change the price of", SCOPES, default=ALONE, key="scope", required=True)
    with file.reading() as connection:
        named = read_group(connection, *chosen, scope)
    if chosen[1] not in named.group.products.product[:1]:  # its category may be there without it
        drawing.paragraph(f"There is no product {chosen[1]} in {chosen[0]} any more.", "warn")
        return
    drawing.paragraph(drawing.name_of(chosen[1], named.description[0]), "name", chosen[0])
    if scope != ALONE and len(named.group.products) == 1:
        drawing.paragraph(f"Nothing is known of {scope.replace('its ', 'other products of its ')}.", "quiet")
    group = named.group
    moved_alike = [_counted(outcomes(group, group.products.price * (1 + move))).total for move in _MOVES]
    key = f"{file.stamp()} {chosen} {scope}"
    _moved(named, np.array(moved_alike), drawing.PERIODS[settings.sales.period], key)


@st.fragment
def _moved(named: NamedGroup, moved_alike: np.ndarray, per: str, key: str) -> None:
    """Show sliders and what they do; runs again by itself when one is moved.

    Parameters
    ----------
    named : NamedGroup
    moved_alike : float array, shape (17, 3)
        What all prices moved by each of _MOVES bring in sum, and the ends of its interval.
    per : str
        Such as 'a week'.
    key : str
        Tells the sliders of this group from others'.
    """
    n = len(named.group.products)
    price = _prices(named, key)
    found = outcomes(named.group, price)
    _answer(named, found, per)  # before the sliders, which take longer to show
    left, right = st.columns([2, 3], gap="large")
    with left:
        _buttons(named, key)
        if n > 1:
            st.slider(
                "all prices",
                -100 * _REACH,
                100 * _REACH,
                0.0,
                0.5,
                format="%+.1f%%",
                key=f"all {key}",
                on_change=lambda: _set_all(named, key, st.session_state[f"all {key}"] / 100),
            )
        if n == MOST:
            drawing.paragraph(f"The {MOST} products of the group that count most.", "quiet")
        with st.container(height=520 if n > 5 else "content", border=n > 5):
            for place in range(n):
                _slider(named, place, key)
    with right:
        _pictures(named, found, moved_alike, price, per)


def _buttons(named: NamedGroup, key: str) -> None:
    with st.container(horizontal=True):
        st.button("Today's prices", on_click=_set_all, args=(named, key, 0.0))
        known = np.isfinite(named.recommended)
        st.button(
            "Recommended prices",
            on_click=_set,
            args=(key, np.where(known, named.recommended, named.group.products.price)),
            disabled=not known.any(),
        )


def _prices(named: NamedGroup, key: str) -> np.ndarray:
    """Give the prices that the sliders stand at; at first, and where they reach no further, others."""
    products = named.group.products
    price = np.array(products.price)
    for place, today in enumerate(price.tolist()):
        name = f"price {place} {key}"
        value = st.session_state.get(name, today)
        price[place] = np.clip(value, *_ends(today, named.recommended[place]))
        if name not in st.session_state or price[place] != value:
            st.session_state[name] = float(price[place])
    return price


def _slider(named: NamedGroup, place: int, key: str) -> None:
    """Ask for one product's price."""
    products = named.group.products
    today = float(products.price[place])
    drawing.paragraph(drawing.name_of(products.product[place], named.description[place]), "row")
    st.slider(
        f"price of product {place + 1}",
        *_ends(today, named.recommended[place]),
        step=_step(today),
        format="%.2f" if today >= 1 else "%.4g",
        key=f"price {place} {key}",
        label_visibility="collapsed",
    )


def _ends(today: float, recommended: float) -> tuple[float, float]:
    """Lowest and highest price of a slider; today's lies on one of its steps."""
    reach = np.fmax(_REACH * today, abs(recommended - today))
    steps = min(np.ceil(reach / _step(today)), np.ceil(today / _step(today)) - 1)
    return today - steps * _step(today), today + steps * _step(today)


def _step(today: float) -> float:
    """Give a hundredth of the currency; less for prices below 1, more for those from 1,000 on."""
    digits = np.floor(np.log10(today))
    return float(10.0 ** (digits - 2 if digits < 0 else max(-2, digits - 4)))


def _set_all(named: NamedGroup, key: str, change: float) -> None:
    """Move all sliders by a fraction of today's prices."""
    _set(key, named.group.products.price * (1 + change))
    if change == 0 and f"all {key}" in st.session_state:
        st.session_state[f"all {key}"] = 0.0


def _set(key: str, price: np.ndarray) -> None:
    for place, value in enumerate(price.tolist()):
        st.session_state[f"price {place} {key}"] = value


def _answer(named: NamedGroup, found: Outcomes, per: str) -> None:
    """Show the totals, the one that counts first."""
    products = named.group.products
    with_cost = int(np.isfinite(products.cost).sum())
    of = "" if with_cost == len(products) else f", {with_cost} of {len(products)} products"
    parts: list[tuple[str, Outcome]] = [(f"profit {per}{of}", found.profit)] if with_cost else []
    parts += [(f"revenue {per}", found.revenue), (f"units {per}", found.units)]
    with st.container(horizontal=True, gap="large"):
        for label, outcome in parts:
            change, low, high = outcome.total
            before = outcome.total_before()
            with st.container(width="content"):
                of_before = drawing.share(change / before if before else None, 1)
                moved = f"{drawing.money(change, signed=True)} ({of_before})" if change else None
                # Streamlit's arrow points down at a hyphen alone.
                st.metric(
                    label, drawing.money(before + change), moved and moved.replace("−", "-"), width="content"
                )
                drawing.paragraph(drawing.interval(low, high) if change else "as today", "quiet")
    _warnings(named, found)


def _warnings(named: NamedGroup, found: Outcomes) -> None:
    products = named.group.products
    beyond = int(found.extrapolated.sum())
    if beyond and len(products) == 1:
        drawing.paragraph(
            f"Never charged before: {drawing.price(products.price_min[0])} to "
            f"{drawing.price(products.price_max[0])} was. The elasticity is extrapolated.",
            "warn",
        )
    elif beyond:
        drawing.paragraph(f"{beyond} of these prices were never charged before: extrapolated.", "warn")
    unknown = int((~products.estimated).sum())
    if unknown:
        whose = "Its elasticity is" if len(products) == 1 else f"The elasticities of {unknown} products are"
        drawing.paragraph(f"{whose} the category's: their prices never changed, or nothing was sold.", "warn")
    if products.confounded.any():
        drawing.paragraph("Prices of this category follow demand, which biases its elasticities.", "warn")
    if len(products) == 1 and named.flag[0]:
        drawing.paragraph(f"Careful: {named.flag[0]}.", "warn")


def _counted(found: Outcomes) -> Outcome:
    """Give what counts: profit where all costs are known, else revenue."""
    return found.profit if np.isfinite(found.profit.before).all() else found.revenue


def _pictures(
    named: NamedGroup, found: Outcomes, moved_alike: np.ndarray, price: np.ndarray, per: str
) -> None:
    """Draw what all prices moved alike bring, and what each product's part of the present prices is."""
    products, part = named.group.products, _counted(found)
    what = f"{'profit' if part is found.profit else 'revenue'} {per}"
    changes = price / products.price - 1
    alike = float(changes.mean()) if np.ptp(changes) < 0.01 and abs(changes.mean()) <= _MOVES[-1] else np.nan
    mean, low, high = moved_alike.T
    drawing.chart(charts.price_moves(_MOVES, mean, low, high, alike, what))
    if len(products) == 1:
        return
    order = np.argsort(-np.abs(part.change), kind="stable")
    order = order[np.abs(part.change[order]) > 0]
    if not len(order):
        drawing.paragraph("Move a slider to see what it does, product by product.", "quiet")
        return
    names = [drawing.name_of(products.product[i], named.description[i]) for i in order]
    drawing.chart(charts.gains(names, part.change[order], part.low[order], part.high[order], what))
    with st.expander("as a table"):
        _table(names, products.price[order], price[order], found, order)


def _table(
    names: list[str], today: np.ndarray, price: np.ndarray, found: Outcomes, order: np.ndarray
) -> None:
    columns = {"product": names, "price now": today, "new price": price}
    for what, outcome in (("units", found.units), ("revenue", found.revenue), ("profit", found.profit)):
        if np.isfinite(outcome.change).any():
            columns |= {what: outcome.change[order], f"{what} 5%": outcome.low[order]}
            columns |= {f"{what} 95%": outcome.high[order]}
    columns["never charged before"] = found.extrapolated[order]
    number = st.column_config.NumberColumn
    formats = {
        name: number(format="%+.2f") for name in columns if name.split()[0] in ("units", "revenue", "profit")
    }
    st.dataframe(
        pd.DataFrame(columns),
        hide_index=True,
        column_config=formats | {name: number(format="%.2f") for name in ("price now", "new price")},
    )
