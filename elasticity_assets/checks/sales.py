"""Checks of the sales: nothing lost, nothing moved unseen."""

from collections.abc import Sequence

import dagster as dg

from elasticity_assets.checks.result import text_table
from elasticity_assets.ingestion import FilesReport, SuspectsReport, WeeklyReport
from elasticity_assets.warehouse.sales_tables import SUSPECT_SALES

RAW_SALES = [
    dg.AssetCheckSpec(
        "files_are_there",
        asset="raw_sales",
        description="Every file taken in before is still there and complete; rows of others stay.",
    )
]

WEEKLY_SALES = [
    dg.AssetCheckSpec(
        "rows_and_units_add_up",
        asset="weekly_sales",
        blocking=True,
        description="Rows in = rows used + rows rejected, and units in = units used + units rejected.",
    ),
    dg.AssetCheckSpec(
        "few_rows_are_rejected",
        asset="weekly_sales",
        description="Of the rows delivered, and of their units, at most the share sales.max_rejected cannot be used.",
    ),
    dg.AssetCheckSpec(
        "weekly_sales_keep_their_contract",
        asset="weekly_sales",
        blocking=True,
        description="Keys are whole and occur once, prices are positive, units are not negative, no period is to come; "
        "sales by zone add up to it.",
    ),
    dg.AssetCheckSpec(
        "products_keep_category",
        asset="weekly_sales",
        description="No product was delivered in several categories; one that was takes its latest.",
    ),
    dg.AssetCheckSpec(
        "product_codes_are_whole",
        asset="weekly_sales",
        description='No product code looks changed on its way: 5.01234E+12, 123 beside 00123, or P1" beside P1.',
    ),
    dg.AssetCheckSpec(
        "prices_are_in_one_currency",
        asset="weekly_sales",
        description="The signs and codes beside the prices or revenues name one currency, as far as there are any.",
    ),
    dg.AssetCheckSpec(
        "no_suspect_prices",
        asset="weekly_sales",
        description="No price lies so far from the product's others that it must be mistyped, or in cents.",
    ),
    dg.AssetCheckSpec(
        "no_suspect_units",
        asset="weekly_sales",
        description="No units are mistyped, of another unit of measure, or the sum of the other products' or stores'.",
    ),
]

_MOST_NAMED = 3  # suspects


def files_are_there(report: FilesReport) -> dg.AssetCheckResult:
    """Warn of files that vanished or are still being written."""
    missing = [*report.vanished, *report.still_written]
    return dg.AssetCheckResult(
        check_name="files_are_there",
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"gone or still being written: {', '.join(missing)}"
        if missing
        else "all files are there",
        metadata={
            "gone": text_table(["file"], [[file] for file in report.vanished]),
            "still being written": text_table(["file"], [[file] for file in report.still_written]),
        },
    )


def rows_and_units_add_up(report: WeeklyReport) -> dg.AssetCheckResult:
    """Fail where a row or a unit was lost."""
    return dg.AssetCheckResult(
        check_name="rows_and_units_add_up",
        passed=report.accounts_close,
        description=(
            f"{report.rows_in:,} rows in = {report.rows_used:,} used + {report.rows_rejected:,} rejected; "
            f"{report.units_in:,.10g} units in = {report.units_used:,.10g} used "
            f"+ {report.units_rejected:,.10g} rejected"
        ),
        metadata={
            "rows lost": report.rows_in - report.rows_used - report.rows_rejected,
            "units lost": report.units_in - report.units_used - report.units_rejected,
            "rows rejected": by_reason(report.rejected, report.examples),
        },
    )


def few_rows_are_rejected(report: WeeklyReport, max_rejected: float) -> dg.AssetCheckResult:
    """Fail where more than a share of the rows or units could not be used as delivered."""
    found = report.unusable
    return dg.AssetCheckResult(
        check_name="few_rows_are_rejected",
        passed=found.share <= max_rejected,
        description=(
            f"{found.rows:,} of {found.of_rows:,} rows ({found.rows / max(found.of_rows, 1):.1%}) with "
            f"{found.units:,.6g} of {found.of_units:,.6g} units could not be used"
            + (f", such as {found.example}" if found.example else "")
        ),
        metadata={
            "rows or units, whichever share is larger": found.share,
            "sales.max_rejected": max_rejected,
            "rows rejected": by_reason(report.rejected, report.examples),
        },
    )


def weekly_sales_keep_their_contract(report: WeeklyReport) -> dg.AssetCheckResult:
    """Fail where weekly_sales holds what no fit could make sense of."""
    faults = report.faults
    return dg.AssetCheckResult(
        check_name="weekly_sales_keep_their_contract",
        passed=not faults,
        description="; ".join(f"{fault}: {n} rows, such as {example!r}" for fault, n, example in faults)
        if faults
        else "no row breaks the contract",
        metadata={
            "faults": dg.MetadataValue.table(
                [
                    dg.TableRecord({"fault": fault, "rows": n, "example": example})
                    for fault, n, example in faults
                ],
                dg.TableSchema(
                    [
                        dg.TableColumn("fault", "string"),
                        dg.TableColumn("rows", "int"),
                        dg.TableColumn("example", "string"),
                    ]
                ),
            )
        }
        if faults
        else {},
    )


def products_keep_category(report: WeeklyReport) -> dg.AssetCheckResult:
    """Warn of products that changed their category."""
    moved = report.changed_category
    return dg.AssetCheckResult(
        check_name="products_keep_category",
        passed=not moved,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(moved)} products were delivered in several categories" if moved else "none moved",
        metadata={
            "moved": text_table(
                ["product", "categories"], [[name, " → ".join(to)] for name, to in moved.items()]
            )
        }
        if moved
        else {},
    )


def product_codes_are_whole(report: WeeklyReport) -> dg.AssetCheckResult:
    """Warn of product codes that a spreadsheet, or broken quoting, seems to have changed."""
    mangled = report.mangled_codes
    return dg.AssetCheckResult(
        check_name="product_codes_are_whole",
        passed=not mangled,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(mangled)} product codes look changed on their way, such as {mangled[0][0]!r}: "
        f"{mangled[0][1]}; deliver them as they are kept"
        if mangled
        else "none looks changed",
        metadata={
            "product codes": dg.MetadataValue.table(
                [dg.TableRecord({"product": product, "why": why}) for product, why in mangled],
                dg.TableSchema([dg.TableColumn("product", "string"), dg.TableColumn("why", "string")]),
            )
        }
        if mangled
        else {},
    )


def prices_are_in_one_currency(report: WeeklyReport) -> dg.AssetCheckResult:
    """Warn of prices or revenues in several currencies: they are averaged as if they were in one."""
    found = report.currencies
    marks = [
        f"{one.mark} in {one.n_rows:,} rows{f', all of {one.only_in}' if one.only_in else ''}, such as {one.example}"
        for one in found
    ]
    return dg.AssetCheckResult(
        check_name="prices_are_in_one_currency",
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"prices are in several currencies, and averaged as if in one: {'; '.join(marks[:_MOST_NAMED])}"
        if found
        else "no price is in another currency than the rest",
        metadata={"currencies": text_table(["what"], [[line] for line in marks])} if found else {},
    )


def no_suspect_prices(report: SuspectsReport) -> dg.AssetCheckResult:
    """Warn of prices that cannot be as delivered."""
    return _no_suspects("no_suspect_prices", report, ["price"], [])


def no_suspect_units(report: SuspectsReport) -> dg.AssetCheckResult:
    """Warn of units that cannot be as delivered, and of rows of totals."""
    totals = [
        f"{place} is, {why}, the sum of the other {place.split()[0]}s, and counts twice; leave its rows out"
        for place, why in report.totals.items()
    ]
    return _no_suspects("no_suspect_units", report, ["total row", "unit of measure", "units"], totals)


def _no_suspects(
    name: str, report: SuspectsReport, kinds: Sequence[str], more: Sequence[str]
) -> dg.AssetCheckResult:
    """Name those that concern most."""
    lines = [*more, *(line for what in kinds for line in report.lines.get(what, ()))]
    named = [*lines[:_MOST_NAMED], *([f"and {len(lines) - _MOST_NAMED} more"] * (len(lines) > _MOST_NAMED))]
    return dg.AssetCheckResult(
        check_name=name,
        passed=not lines,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{'; '.join(named)}; see {SUSPECT_SALES.name}" if lines else "nothing is suspect",
        metadata={
            "product-periods": sum(report.n_cells.get(what, 0) for what in kinds),
            "suspect": text_table(["what"], [[line] for line in lines]),
        },
    )


def by_reason(rejected: dict[str, int], examples: dict[str, str]) -> dg.MetadataValue:
    """Table of rejected rows by reason, each with the column in question and one of its values, for the UI."""
    if not rejected:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"reason": reason, "rows": rows, "example": examples.get(reason, "")})
            for reason, rows in sorted(rejected.items())
        ],
        dg.TableSchema(
            [
                dg.TableColumn("reason", "string"),
                dg.TableColumn("rows", "int"),
                dg.TableColumn("example", "string"),
            ]
        ),
    )
