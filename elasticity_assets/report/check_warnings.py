"""What the checks warn of, by name: in plain words, with the categories and products concerned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from elasticity_assets.report.published_rows import records, text

MOST_CATEGORIES = 8
"""Categories named under a warning."""
MOST_PRODUCTS = 8
"""Products named under a warning."""
_AFTER_PUBLICATION = frozenset({"published_elasticity", "report"})
"""Assets whose checks come after publication: the published file has the refit's before."""

PLAIN = {
    "files_are_there": "A sales file that was read before is gone, or is still being written. Its rows stay.",
    "rows_and_units_add_up": "Rows or units were lost on the way in: a mistake of the program.",
    "few_rows_are_rejected": (
        "Many rows of the sales could not be read, and are not in these numbers. See rejected_sales, and "
        "correct the files or the settings."
    ),
    "weekly_sales_keep_their_contract": (
        "The sales hold what cannot be, such as negative prices or days to come. Correct the newest file."
    ),
    "products_keep_category": "Products were delivered in several categories. Each counts in its latest.",
    "product_codes_are_whole": (
        "Product codes look changed on their way, by a spreadsheet for example: several products may "
        "have become one. Deliver the codes as text."
    ),
    "prices_are_in_one_currency": (
        "The sales name several currencies: prices of different ones are compared as if they were one."
    ),
    "no_suspect_prices": (
        "Prices must be mistyped, or in another unit of money. Until they are corrected they do not count."
    ),
    "no_suspect_units": (
        "Units must be mistyped, in another unit of measure, or totals of others. Until they are "
        "corrected they do not count."
    ),
    "prices_vary": (
        "Most products never changed their price: their elasticities are their category's, not their "
        "own. Trying other prices would tell."
    ),
    "units_are_counts": "Units are fractions. That is right for weights and averages, and nothing else.",
    "zones_leave_nothing_out": (
        "These categories are fitted by zone, which does not use all that the files give: regular prices, or results "
        "of price tests."
    ),
    "fits_succeeded": "These categories could not be fitted; they keep their last numbers, if they have any.",
    "fits_converged": "The fit gave up before it was done: take its numbers for rough ones.",
    "fits_learned": (
        "The sales of the category tell next to nothing about prices: take its numbers for a guess."
    ),
    "heldout_evaluation_succeeded": (
        "How well these categories predict sales that they have not seen could not be tried."
    ),
    "heldout_coverage": (
        "The 90% intervals hold too few or too many of the sales kept back: how sure things are may be "
        "overstated or understated."
    ),
    "heldout_coverage_by_volume": (
        "The 90% intervals are wrong for products that sell little, much, or in between: how sure things "
        "are may be overstated for these."
    ),
    "heldout_coverage_by_product": (
        "The 90% intervals fit some products well and others badly, such as those that ran out of stock."
    ),
    "predicts_no_worse_than_rivals": (
        "A simpler model predicts these categories better: their elasticities tell little."
    ),
    "forecast_coverage": (
        "The last periods' sales lie in the 90% intervals of their forecasts too seldom or too often: something "
        "changed of late, or how sure things are is misstated."
    ),
    "forecasts_no_worse_than_rivals": (
        "A simpler model foretold the last periods better: something changed of late."
    ),
    "split_samples_succeeded": (
        "Whether parts of the history tell the same could not be tried for these categories."
    ),
    "split_samples_agree": (
        "Parts of the history tell different elasticities: something besides prices moves sales for "
        "weeks on end."
    ),
    "elasticities_do_not_drift": (
        "Customers respond to prices differently now than earlier: the published elasticities are "
        "averages of both. Change prices in small steps there."
    ),
    "confounding_tests_succeeded": "Whether prices follow demand could not be tried for these categories.",
    "prices_do_not_follow_demand": (
        "Prices seem to have been set in view of demand: the elasticities are biased, and no price of these "
        "categories is recommended. Trying prices by chance for some periods would tell."
    ),
    "posteriors_match_nuts": (
        "A slower, exact method gives other numbers for these categories: how sure things are may be wrong."
    ),
    "elasticities_are_negative": (
        "Some products seem to sell more when they are dearer. A promotion or display may be missing "
        "among the controls, or prices follow demand."
    ),
    "elasticities_keep_still": (
        "Elasticities jumped since the refit before. Look at these products' newest sales."
    ),
    "two_slopes_fitted": "Regular prices and promotions could not be told apart in these categories.",
    "pricing_rules_can_be_kept": (
        "The rules under pricing contradict each other for some products, or name products that are not "
        "there. Prices of the former stay."
    ),
    "published_tables_agree": "The tables contradicted each other and were not published.",
    "no_category_went_missing": "Categories of the refit before are missing.",
    "every_category_is_recent": "Categories have not been refitted for long, or have had no sales of late.",
    "every_section_made": "Parts of this report could not be made.",
    "every_category_refitted": "Categories could not be refitted: their numbers are old.",
}
"""What it means for who decides prices that a check failed, by the check's name."""


@dataclass(frozen=True)
class CheckWarning:
    """A check that did not pass.

    Attributes
    ----------
    check, says : str
        Its name, and what that means in plain words.
    is_error : bool
    categories : sequence of (str, str)
        Categories concerned, and what was found there; without a name where it is of everything. At most
        MOST_CATEGORIES.
    more_categories : int
    products : sequence of str
        Products concerned, those with most revenue first, at most MOST_PRODUCTS.
    more_products : int
    """

    check: str
    says: str
    is_error: bool
    categories: Sequence[tuple[str, str]]
    more_categories: int
    products: Sequence[str]
    more_products: int


def current(check_results: pd.DataFrame, refit_id: str) -> pd.DataFrame:
    """Leave out what is known only of the refit before.

    Parameters
    ----------
    check_results : DataFrame
        Rows of check_results.
    refit_id : str
        Of this refit.
    """
    after_publication = check_results["asset"].isin(_AFTER_PUBLICATION)
    return check_results[~after_publication | (check_results["refit_id"] == refit_id)]


def check_warnings(
    check_results: pd.DataFrame,
    products: pd.DataFrame,
    suspects: pd.DataFrame,
    moved: pd.DataFrame,
) -> list[CheckWarning]:
    """Collect what did not pass: errors first, then what concerns most categories.

    Parameters
    ----------
    check_results : DataFrame
        From `current`.
    products : DataFrame
        From `answer.recommendations`.
    suspects : DataFrame
        As of `PublishedTables`.
    moved : DataFrame
        Category and product of elasticities that left their intervals.
    """
    failed = check_results[~check_results["passed"].astype(bool)]
    found = []
    for name, rows in failed.groupby("check", sort=True):
        check = str(name)
        concerned = _concerned(check, rows, products, suspects, moved)
        categories = [(str(row["category"]), text(row["message"])) for row in records(rows)]
        found.append(
            CheckWarning(
                check,
                PLAIN.get(check, check),
                bool((rows["severity"] == "error").any()),
                categories[:MOST_CATEGORIES],
                max(len(categories) - MOST_CATEGORIES, 0),
                concerned[:MOST_PRODUCTS],
                max(len(concerned) - MOST_PRODUCTS, 0),
            )
        )
    return sorted(found, key=lambda warning: (not warning.is_error, -len(warning.categories)))


def warned_categories(check_results: pd.DataFrame) -> frozenset[str]:
    """Name the categories of which a check warns."""
    named = ~check_results["passed"].astype(bool) & (check_results["category"] != "")
    return frozenset(check_results.loc[named, "category"])


def _concerned(
    check: str, failed: pd.DataFrame, products: pd.DataFrame, suspects: pd.DataFrame, moved: pd.DataFrame
) -> list[str]:
    """Name the products that a failed check is about, where a column tells; none where none does."""
    flag, rule = products["flag"].map(text), products["binding_rule"].map(text)
    of_check: dict[str, Callable[[], pd.Series]] = {
        "elasticities_do_not_drift": lambda: flag.str.contains("drift:", regex=False),
        "prices_vary": lambda: flag.str.contains("one price only", regex=False),
        "elasticities_are_negative": lambda: products["elasticity"] > 0,
        "pricing_rules_can_be_kept": lambda: rule.str.contains("collide", regex=False),
        "elasticities_keep_still": lambda: _among(products, moved),
        "no_suspect_prices": lambda: _among(products, suspects[suspects["what"] == "price"]),
        "no_suspect_units": lambda: _among(products, suspects[suspects["what"] != "price"]),
    }
    if check not in of_check:
        return []
    holds = of_check[check]()
    if names := {*failed["category"]} - {""}:
        holds &= products["category"].isin(names)
    found = products[holds].sort_values("revenue", ascending=False, kind="stable")
    return [f"{row['product']} {row['detail']}".strip() for row in records(found[["product", "detail"]])]


def _among(products: pd.DataFrame, chosen: pd.DataFrame) -> pd.Series:
    key = ["category", "product"]
    keys = pd.MultiIndex.from_frame(chosen[key])
    return pd.Series(pd.MultiIndex.from_frame(products[key]).isin(keys), products.index)
