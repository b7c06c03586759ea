"""The last checks: the published tables agree, and every category's numbers are of this refit, and of late."""

from collections.abc import Mapping, Sequence

import dagster as dg

from elasticity_assets.checks.result import by_category, result_of_failures, text_table

_MOST_PERIODS_BEHIND = 1

PUBLISHED_ELASTICITY = [
    dg.AssetCheckSpec(
        "published_tables_agree",
        asset="published_elasticity",
        blocking=True,
        description="The new file's tables hold every fitted product once, and agree with each other.",
    ),
    dg.AssetCheckSpec(
        "no_category_went_missing",
        asset="published_elasticity",
        description="Every category of the last refit is in this one.",
    ),
]
REPORT = [
    dg.AssetCheckSpec(
        "every_section_made",
        asset="report",
        description="The report has a section of every category that should have one.",
    ),
    # Of the last asset: nothing that comes after its own asset is made where it fails.
    dg.AssetCheckSpec(
        "every_category_refitted",
        asset="report",
        blocking=True,
        description="No category's fit failed. One whose did keeps its last published rows, flagged as old.",
    ),
]


def published_tables_agree(problems: Sequence[str], rows: Mapping[str, int]) -> dg.AssetCheckResult:
    """Fail where the new file does not stand its checks; it is not published then.

    Parameters
    ----------
    problems : sequence of str
    rows : mapping of table to int
        Rows published.
    """
    return dg.AssetCheckResult(
        check_name="published_tables_agree",
        passed=not problems,
        description=(
            f"not published, the last file stays: {'; '.join(problems)}"
            if problems
            else f"{len(rows)} tables agree, {rows['product_elasticity']} products"
        ),
        metadata={"problems": text_table(["problem"], [[problem] for problem in problems])}
        if problems
        else {f"rows of {table}": count for table, count in rows.items()},
    )


def no_category_went_missing(before: Sequence[str], now: Sequence[str]) -> dg.AssetCheckResult:
    """Warn of categories that the last refit published and this one does not.

    Parameters
    ----------
    before, now : sequence of str
        Categories published.
    """
    missing = sorted({*before} - {*now})
    return dg.AssetCheckResult(
        check_name="no_category_went_missing",
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"published last time and not now: {', '.join(map(repr, missing))}"
        if missing
        else f"all {len({*before})} categories of the last refit are there",
        metadata={"missing": ", ".join(missing)} if missing else {},
    )


def every_section_made(categories: Sequence[str], not_made: Mapping[str, str]) -> dg.AssetCheckResult:
    """Warn of categories whose section of the report could not be made.

    Parameters
    ----------
    categories : sequence of str
        That should have a section.
    not_made : mapping of category to str
        Reasons.
    """
    return result_of_failures(
        "every_section_made",
        {category: not_made.get(category, "") for category in categories},
        "no section in the report",
        f"{len(categories)} sections",
    )


def every_category_refitted(published: Sequence[str], failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Fail, and so turn the run red, where a category's last fit failed; all others are published.

    Parameters
    ----------
    published : sequence of str
        Categories that have a fit.
    failed : mapping of category to str
        Reasons.
    """
    categories = {category: failed.get(category, "") for category in sorted({*published, *failed})}
    return result_of_failures(
        "every_category_refitted",
        categories,
        "not refitted",
        f"{len(published)} categories, all refitted",
        dg.AssetCheckSeverity.ERROR,
    )


def every_category_is_recent(
    ages: Sequence[tuple[str, float, int]], max_age_days: float
) -> dg.AssetCheckResult:
    """Warn of categories whose fit is old, or whose sales have stopped coming.

    Parameters
    ----------
    ages : sequence of (str, float, int)
        Each category's name, days since its fit, and periods that its newest sales lie behind the newest of all.
    max_age_days : float
    """
    old = {
        category: f"fitted {days:.0f} days ago"
        if days > max_age_days
        else f"its newest sales are {behind} periods old"
        for category, days, behind in ages
        if days > max_age_days or behind > _MOST_PERIODS_BEHIND
    }
    return dg.AssetCheckResult(
        check_name="every_category_is_recent",
        passed=not old,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{category!r}: {why}" for category, why in old.items())
        or f"{len(ages)} categories, all fitted within {max_age_days:g} days on recent sales",
        metadata=by_category(
            {
                name: {
                    "passed": name not in old,
                    "days since fit": days,
                    "periods behind": behind,
                    "message": old.get(name, ""),
                }
                for name, days, behind in ages
            }
        ),
    )
