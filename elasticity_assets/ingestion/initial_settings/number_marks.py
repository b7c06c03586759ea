"""Whether a point or a comma parts decimals, from all numbers of the files."""

from collections.abc import Sequence

from elasticity_assets.ingestion.initial_settings.column_profiles import ColumnProfile
from elasticity_assets.ingestion.initial_settings.decision import Decision, example

NEAR_A_THOUSAND = 100.0
"""Where marks are of thousands, numbers without one come near a thousand."""


def decide_decimal(columns: Sequence[ColumnProfile]) -> Decision | None:
    """Decide `sales.decimal`, or leave it open; None where no number has a mark but points of decimals, the default.

    Parameters
    ----------
    columns : sequence of ColumnProfile
        Those of numbers that matter: units, prices, revenues, discounts.
    """
    points = [column for column in columns if column.n_sure_point and column.nearly_all(column.n_point)]
    commas = [column for column in columns if column.n_sure_comma and column.nearly_all(column.n_comma)]
    commas = [column for column in commas if column not in points]
    if points and commas:
        return Decision(
            "decimal",
            None,
            f"{points[0].name!r} has decimals after a point ({example(_fraction(points[0], '.'))}), "
            f"{commas[0].name!r} after a comma ({example(_fraction(commas[0], ','))}); write both one way",
        )
    marked = [c for c in columns if c.kind == "VARCHAR" and c.n_comma_and_three + c.n_point_and_three]
    verdicts = {column.name: _verdict(column) for column in marked}
    if points or commas:
        decimal = "." if points else ","
        column = (points or commas)[0]
        wrong = [c for c in marked if verdicts[c.name] not in (None, decimal)]
        if wrong:
            return Decision(
                "decimal",
                None,
                f"{example(_fraction(column, decimal))} in {column.name!r} has decimals, and "
                f"{example(wrong[0].marked)} in {wrong[0].name!r} looks like thousands; write both one way",
            )
        if decimal == "." and not any("," in value for c in columns for value in (*c.frequent, *c.some)):
            return None
        other = next((c for c in marked if c.marked and decimal not in c.marked), None)
        thousands = f", and {example(other.marked)} in {other.name!r} thousands" if other else ""
        why = f"{example(_fraction(column, decimal))} in {column.name!r} has decimals{thousands}."
        return Decision("decimal", decimal, why)
    return _by_marks(marked, verdicts) if marked else None


def _by_marks(marked: Sequence[ColumnProfile], verdicts: dict[str, str | None]) -> Decision:
    decided = sorted({verdict for verdict in verdicts.values() if verdict is not None})
    column = next((c for c in marked if verdicts[c.name] is not None), marked[0])
    if len(decided) != 1:
        return Decision(
            "decimal",
            None,
            f"{example(column.marked)} in {column.name!r} may be thousands or decimals; write '.' or ',', "
            "whichever parts decimals",
        )
    shown = f"{example(column.marked)} in {column.name!r}"
    if column.n_unmarked_large:
        why = f"{shown} is a decimal number: whole numbers from 1,000 have no mark there."
    else:
        why = f"{shown} is a thousand and more: numbers below 1,000 have no mark there, all others have one."
    return Decision("decimal", decided[0], why)


def _verdict(column: ColumnProfile) -> str | None:
    """Tell the decimal mark from a column of numbers such as 567 and 1,003; None if it may be either."""
    if bool(column.n_sure_point) != bool(column.n_sure_comma):
        return "." if column.n_sure_point else ","
    if column.n_comma_and_three and column.n_point_and_three:
        return None
    mark, other = (",", ".") if column.n_comma_and_three else (".", ",")
    if column.n_unmarked_large:
        return mark
    return other if (column.largest_unmarked or 0.0) >= NEAR_A_THOUSAND else None


def _fraction(column: ColumnProfile, decimal: str) -> str:
    return next((value for value in [*column.frequent, *column.some] if decimal in value), column.frequent[0])
