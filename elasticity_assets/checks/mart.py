"""The last check: every category's numbers are of this refit."""

from collections.abc import Mapping, Sequence

import dagster as dg

from elasticity_assets.checks.report import by_category

PUBLISHED_ELASTICITY = [
    dg.AssetCheckSpec(
        "every_category_refitted",
        asset="published_elasticity",
        blocking=True,
        description="No category's fit failed. One whose did keeps its last published rows, flagged as old.",
    )
]


def every_category_refitted(published: Sequence[str], failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Fail, and so turn the run red, where a category's last fit failed; all others are published.

    Parameters
    ----------
    published : sequence of str
        Categories that have a fit.
    failed : mapping of category to str
        Reasons.
    """
    return dg.AssetCheckResult(
        check_name="every_category_refitted",
        passed=not failed,
        description=f"not refitted: {', '.join(map(repr, failed))}"
        if failed
        else f"{len(published)} categories, all refitted",
        metadata=by_category(
            {
                category: {"refitted": category not in failed, "reason": failed.get(category, "")}
                for category in sorted({*published, *failed})
            }
        ),
    )
