"""Which columns go into `sales.controls`: promotions, displays, holidays and the like."""

from collections.abc import Mapping

from elasticity_assets.ingestion.initial_settings.column_names import name_strengths
from elasticity_assets.ingestion.initial_settings.column_profiles import NEARLY_ALL, ColumnProfile
from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark, example

MOST_OFFERED = 6
"""Columns named in the remark, at most."""


def find_controls(profiles: Mapping[str, ColumnProfile], n_rows: int) -> tuple[Decision | None, list[Remark]]:
    """Take numbers and flags whose names say promotion or holiday; name others that may be controls.

    Parameters
    ----------
    profiles : mapping of str to ColumnProfile
        Columns that are not taken yet.
    n_rows : int
    """
    taken, texts, flags = [], [], []
    for name, profile in profiles.items():
        if profile.n_distinct < 2 or profile.is_date_type:
            continue
        named = "promo" in name_strengths(name)
        readable = profile.is_number or profile.nearly_all(profile.n_flag)
        if named and readable and profile.n_given >= (1 - NEARLY_ALL) * n_rows:
            taken.append(name)
        elif named and profile.n_distinct <= 20:
            texts.append(name)
        elif profile.is_flag:
            flags.append(name)
    remarks = []
    if texts:
        values = example(*(f"{texts[0]}={value}" for value in profiles[texts[0]].frequent[:3]))
        remarks.append(
            Remark(f"{example(*texts)} may move sales, too: name in controls what counts, such as {values}.")
        )
    if flags:
        remarks.append(
            Remark(
                "Flags that are not taken, as their names do not say promotion or holiday: "
                f"{example(*flags[:MOST_OFFERED])}."
            )
        )
    if not taken:
        return None, remarks
    shown = "; ".join(
        f"{name!r} is {' or '.join(map(repr, profiles[name].frequent[:2]))}" for name in taken[:4]
    )
    return Decision("controls", taken, f"By their names these move sales beside the price: {shown}."), remarks
