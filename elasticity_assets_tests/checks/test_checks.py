"""Every check passes where all is well, and fails where it should; the document names them all."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

from elasticity_assets.assets.elasticity import changes_since_last_refit
from elasticity_assets.checks import evidence, fit, model_input, pricing, published, sales
from elasticity_assets.checks.model_input import PanelFacts
from elasticity_assets.definitions import build_definitions
from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.cross_check import CrossCheck
from elasticity_assets.inference.judging.scores import FORECAST, MODEL, RIVALS, HeldOut, HeldOutSummary
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.ingestion import FilesReport, SuspectsReport, WeeklyReport
from elasticity_assets.ingestion.accounts import CurrencyMark, Unusable
from elasticity_assets_tests.published.test_rows import posterior
from elasticity_assets_tests.support.projects import make_project

pytestmark = pytest.mark.quick

PRODUCTS, PERIODS = 60, 50


def scores(
    narrow: np.ndarray | float = 1.0, rival_lead: float = -0.2, units: np.ndarray | None = None
) -> HeldOut:
    """Scores of a right prediction, or of one whose intervals are too narrow for some products."""
    rng = np.random.default_rng(0)
    row = np.repeat(np.arange(PRODUCTS), PERIODS)
    factor = np.broadcast_to(narrow, PRODUCTS)[row]
    pit = np.clip(0.5 + factor * (rng.permutation(len(row)) / len(row) - 0.5), 0.0, 1.0)
    ours = rng.normal(-2.0, 0.5, len(row))
    return HeldOut(
        "c",
        np.array([f"p{i:02d}" for i in range(PRODUCTS)]),
        (MODEL, *RIVALS),
        np.where(np.arange(len(row)) % PERIODS < PERIODS - 8, np.arange(len(row)) % 10, FORECAST),
        row,
        np.tile(np.arange(PERIODS), PRODUCTS),
        (1.0 + np.arange(PRODUCTS))[row] if units is None else units,
        pit,
        np.stack([ours, ours - 0.2, ours + rival_lead, ours - 0.2]),
        np.ones((4, len(row))),
    )


def heldout(narrow: np.ndarray | float = 1.0, rival_lead: float = -0.2) -> HeldOutSummary:
    return scores(narrow, rival_lead).summary()


def samples(differences: np.ndarray, drift: np.ndarray, category_drift: float = 0.0) -> SplitSamples:
    n = len(differences)
    sd = np.ones(n)
    return SplitSamples("c", np.arange(n).astype(str), differences, sd, drift, sd, category_drift, 0.2)


def confounding(z: float) -> ConfoundingTests:
    return ConfoundingTests("c", -1.5, 0.1 if z > 0 else -0.1, z, np.nan, "", False, np.nan, np.nan, np.nan)


def cross_check(
    difference: float = 0.02, ratio: float = 1.0, size: float = 2000.0, r_hat: float = 1.0
) -> CrossCheck:
    return CrossCheck("c", 15, difference, 2 * difference, ratio, ratio - 0.05, ratio + 0.05, r_hat, size, 0)


def files(**changes: object) -> FilesReport:
    names = dict.fromkeys(FilesReport.__dataclass_fields__, ())
    empty: dict[str, object] = {"rejected": {}, "examples": {}, "without_partner": {}}
    return FilesReport(**{**names, **empty, "rows_in": 1, **changes})  # type: ignore[arg-type]


def suspects(*lines: str, what: str = "price", stores: dict[str, str] | None = None) -> SuspectsReport:
    return SuspectsReport({what: len(lines)}, {what: lines} if lines else {}, stores or {})


def weekly(**changes: object) -> WeeklyReport:
    usual = {
        "rows_in": 10,
        "rows_used": 9,
        "rejected": {"no units": 1},
        "examples": {"no units": "column 'qty'"},
        "units_in": 5.0,
        "units_used": 5.0,
        "units_rejected": 0.0,
        "unusable": Unusable(1, 100, 0.0, 5.0, "a.csv, line 3: no units"),
        "n_categories": 1,
        "n_products": 1,
        "n_periods": 9,
        "n_product_periods": 9,
        "first_period": date(2024, 1, 1),
        "last_period": date(2024, 2, 26),
        "changed_category": {},
        "mangled_codes": (),
        "currencies": (),
        "missing_periods": "truncated",
        "faults": (),
        "suspects": suspects(),
    }
    return WeeklyReport(**{**usual, **changes})  # type: ignore[arg-type]


def products(elasticity: list[float], sd: float = 0.1) -> pd.DataFrame:
    middle = np.array(elasticity)
    return pd.DataFrame(
        {
            "category": "c",
            "product": [f"p{i}" for i in range(len(middle))],
            "elasticity": middle,
            "elasticity_sd": sd,
            "elasticity_q05": middle - 1.645 * sd,
        }
    )


def changes(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    with duckdb.connect() as connection:
        columns = "category VARCHAR, product VARCHAR, elasticity DOUBLE, elasticity_sd DOUBLE"
        connection.execute(f"CREATE TABLE product_elasticity ({columns})")
        connection.register("before", before.drop(columns="elasticity_q05"))
        connection.execute("INSERT INTO product_elasticity BY NAME FROM before")
        return changes_since_last_refit(connection, now)


HALF = np.where(np.arange(PRODUCTS) % 2 == 0, 1.0, 1.6)
LOW_THIRD = np.where(np.arange(PRODUCTS) < 20, 1.15, 1.0)
QUIET = np.linspace(-1.6, 1.6, 50)
UNSURE = posterior()

CASES = {
    "files_are_there": (sales.files_are_there(files()), sales.files_are_there(files(vanished=["a.csv"]))),
    "rows_and_units_add_up": (
        sales.rows_and_units_add_up(weekly()),
        sales.rows_and_units_add_up(weekly(rows_used=8)),
    ),
    "few_rows_are_rejected": (
        sales.few_rows_are_rejected(weekly(), 0.02),
        sales.few_rows_are_rejected(
            weekly(unusable=Unusable(1, 100, 2.0, 5.0, "a.csv, line 3: price")), 0.02
        ),
    ),
    "weekly_sales_keep_their_contract": (
        sales.weekly_sales_keep_their_contract(weekly()),
        sales.weekly_sales_keep_their_contract(
            weekly(faults=(("a period in the future", 3, "c, p, 2099-01-05"),))
        ),
    ),
    "products_keep_category": (
        sales.products_keep_category(weekly()),
        sales.products_keep_category(weekly(changed_category={"p": ("a", "b")})),
    ),
    "product_codes_are_whole": (
        sales.product_codes_are_whole(weekly()),
        sales.product_codes_are_whole(weekly(mangled_codes=(("5.01234E+12", "digits are lost"),))),
    ),
    "prices_are_in_one_currency": (
        sales.prices_are_in_one_currency(weekly()),
        sales.prices_are_in_one_currency(
            weekly(currencies=(CurrencyMark("€", 9, "", "a"), CurrencyMark("CHF", 1, "store 'Z'", "b")))
        ),
    ),
    "no_suspect_prices": (
        sales.no_suspect_prices(suspects("product 'p'", what="units")),
        sales.no_suspect_prices(suspects("product 'p'")),
    ),
    "no_suspect_units": (
        sales.no_suspect_units(suspects("product 'p'")),
        sales.no_suspect_units(suspects(stores={"store 'ALL'": "by its units"})),
    ),
    "prices_vary": (
        model_input.prices_vary({"c": PanelFacts(10, 5, 100, 1.0, True)}),
        model_input.prices_vary({"c": PanelFacts(10, 6, 100, 1.0, True)}),
    ),
    "units_are_counts": (
        model_input.units_are_counts({"c": PanelFacts(10, 5, 100, 1.0, True)}),
        model_input.units_are_counts({"c": PanelFacts(10, 5, 100, 0.1, False)}),
    ),
    "zones_leave_nothing_out": (
        model_input.zones_leave_nothing_out({"c": PanelFacts(10, 5, 100, 1.0, True)}),
        model_input.zones_leave_nothing_out({"c": PanelFacts(10, 5, 100, 1.0, True, "regular prices")}),
    ),
    "fits_succeeded": (fit.fits_succeeded(["c"], {}), fit.fits_succeeded(["a"], {"c": "no luck"})),
    "fits_converged": (
        fit.fits_converged({"c": posterior()}),
        fit.fits_converged(
            {"c": replace(posterior(), diagnostics=replace(posterior().diagnostics, converged=False))}
        ),
    ),
    "fits_learned": (
        fit.fits_learned({"c": posterior()}),
        fit.fits_learned({"c": replace(UNSURE, category_var=np.array([0.99 * UNSURE.prior_var]))}),
    ),
    "heldout_evaluation_succeeded": (
        evidence.evidence_was_found("heldout_evaluation", ["c"], {}),
        evidence.evidence_was_found("heldout_evaluation", ["a"], {"c": "no luck"}),
    ),
    "split_samples_succeeded": (
        evidence.evidence_was_found("split_samples", ["c"], {}),
        evidence.evidence_was_found("split_samples", ["a"], {"c": "no luck"}),
    ),
    "confounding_tests_succeeded": (
        evidence.evidence_was_found("confounding_tests", ["c"], {}),
        evidence.evidence_was_found("confounding_tests", ["a"], {"c": "no luck"}),
    ),
    "prices_do_not_follow_demand": (
        evidence.prices_do_not_follow_demand({"c": confounding(2.9)}),
        evidence.prices_do_not_follow_demand({"c": confounding(-3.1)}),
    ),
    "heldout_coverage": (
        evidence.heldout_coverage({"c": heldout()}),
        evidence.heldout_coverage({"c": heldout(1.12)}),
    ),
    "heldout_coverage_by_volume": (
        evidence.heldout_coverage_by_volume({"c": heldout()}),
        evidence.heldout_coverage_by_volume({"c": heldout(LOW_THIRD)}),
    ),
    "heldout_coverage_by_product": (
        evidence.heldout_coverage_by_product({"c": heldout()}),
        evidence.heldout_coverage_by_product({"c": heldout(HALF)}),
    ),
    "predicts_no_worse_than_rivals": (
        evidence.predicts_no_worse_than_rivals({"c": heldout()}),
        evidence.predicts_no_worse_than_rivals({"c": heldout(rival_lead=0.1)}),
    ),
    "forecast_coverage": (
        evidence.forecast_coverage({"c": heldout()}),
        evidence.forecast_coverage({"c": heldout(1.12)}),
    ),
    "forecasts_no_worse_than_rivals": (
        evidence.forecasts_no_worse_than_rivals({"c": heldout()}),
        evidence.forecasts_no_worse_than_rivals({"c": heldout(rival_lead=0.1)}),
    ),
    "split_samples_agree": (
        evidence.split_samples_agree({"c": samples(QUIET, QUIET)}),
        evidence.split_samples_agree({"c": samples(2.0 * QUIET, QUIET)}),
    ),
    "elasticities_do_not_drift": (
        evidence.elasticities_do_not_drift({"c": samples(QUIET, QUIET)}),
        evidence.elasticities_do_not_drift({"c": samples(QUIET, 2.5 * QUIET)}),
    ),
    "posteriors_match_nuts": (
        evidence.posteriors_match_nuts([cross_check()]),
        evidence.posteriors_match_nuts([cross_check(difference=0.3)]),
    ),
    "elasticities_are_negative": (
        fit.elasticities_are_negative(products([-1.0] * 20 + [0.01])),
        fit.elasticities_are_negative(products([-1.0] * 20 + [0.3])),
    ),
    "elasticities_keep_still": (
        fit.elasticities_keep_still(changes(products([-1.5, -2.0]), products([-1.0, -2.0]))),
        fit.elasticities_keep_still(changes(products([-1.6, -2.0]), products([-1.0, -2.0]))),
    ),
    "two_slopes_fitted": (fit.two_slopes_fitted(["c"], {}), fit.two_slopes_fitted(["a"], {"c": "no luck"})),
    "pricing_rules_can_be_kept": (
        pricing.pricing_rules_can_be_kept([], [], []),
        pricing.pricing_rules_can_be_kept(["a"], [], ["b"]),
    ),
    "published_tables_agree": (
        published.published_tables_agree((), {"product_elasticity": 3}),
        published.published_tables_agree(("category c: lost a product",), {}),
    ),
    "no_category_went_missing": (
        published.no_category_went_missing(["a"], ["a", "b"]),
        published.no_category_went_missing(["a", "b"], ["a"]),
    ),
    "every_category_is_recent": (
        published.every_category_is_recent([("c", 7.9, 1)], 8.0),
        published.every_category_is_recent([("c", 7.9, 2)], 8.0),
    ),
    "every_section_made": (
        published.every_section_made(["a", "b"], {}),
        published.every_section_made(["a", "b"], {"b": "no luck"}),
    ),
    "every_category_refitted": (
        published.every_category_refitted(["a"], {}),
        published.every_category_refitted(["a"], {"b": "no luck"}),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_check_passes_where_all_is_well_and_fails_where_not(name: str) -> None:
    well, ill = CASES[name]
    assert (well.check_name, ill.check_name) == (name, name)
    assert well.passed, well.description
    assert not ill.passed, ill.description
    assert well.description
    assert ill.description
    assert ill.description != well.description
    assert ill.metadata


OF_EVERYTHING = {
    "pricing_rules_can_be_kept",
    "files_are_there",
    "rows_and_units_add_up",
    "few_rows_are_rejected",
    "weekly_sales_keep_their_contract",
    "products_keep_category",
    "product_codes_are_whole",
    "prices_are_in_one_currency",
    "no_suspect_prices",
    "no_suspect_units",
    "published_tables_agree",
    "no_category_went_missing",
}


@pytest.mark.parametrize("name", sorted(CASES.keys() - OF_EVERYTHING))
def test_a_check_of_categories_tells_each_one_s_verdict(name: str) -> None:
    for result in CASES[name]:
        rows = [record.data for record in result.metadata["categories"].records]
        assert result.passed == all(row["passed"] for row in rows)
        for row in rows:
            assert bool(row["message"]) != row["passed"]
    assert rows, "the last one is of a category that failed"


def test_all_checks_are_tested_and_documented(tmp_path: Path) -> None:
    graph = build_definitions(make_project(tmp_path).settings).resolve_asset_graph()
    text = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)`( \(red\))? \|", text, re.MULTILINE))
    assert set(CASES) == {key.name for key in graph.asset_check_keys} == set(rows)
    for key in graph.asset_check_keys:
        severe = CASES[key.name][1].severity == dg.AssetCheckSeverity.ERROR
        assert severe == bool(rows[key.name]), key.name
        if graph.get_check_spec(key).blocking:
            assert severe
        assert key.asset_key.to_user_string() in text


FEW_CELLS = replace(scores()._only(np.arange(3000) < 8), pit=np.array([0.01, 0.02, *[0.5] * 6])).summary()
LIMITS = {
    "few cells, far off, but no further than chance": (evidence.heldout_coverage({"c": FEW_CELLS}), True),
    "forecasts far off, but no further than chance": (
        evidence.forecast_coverage(
            {"c": replace(heldout(), forecast_coverage=0.8, forecast_coverage_error=0.06)}
        ),
        True,
    ),
    "too few periods for a forecast": (
        evidence.forecast_coverage(
            {"c": replace(heldout(), forecast_coverage=np.nan, forecast_coverage_error=np.nan)}
        ),
        True,
    ),
    "too few periods to forecast better": (
        evidence.forecasts_no_worse_than_rivals({"c": scores()._only(np.arange(8)).summary()}),
        True,
    ),
    "NUTS's own error": (evidence.posteriors_match_nuts([cross_check(difference=0.2, size=100.0)]), True),
    "NUTS that did not mix": (evidence.posteriors_match_nuts([cross_check(r_hat=1.2)]), False),
    "NUTS that hardly moved": (
        evidence.posteriors_match_nuts([cross_check(difference=0.9, size=4.0)]),
        False,
    ),
    "NUTS that ended with an error": (
        evidence.posteriors_match_nuts([cross_check()], {"d": "no luck"}),
        False,
    ),
    "a rival that is surely, and hardly, better": (
        evidence.predicts_no_worse_than_rivals({"c": heldout(rival_lead=0.004)}),
        True,
    ),
    "narrow against NUTS": (evidence.posteriors_match_nuts([cross_check(ratio=0.7)]), False),
    "a category that drifts": (
        evidence.elasticities_do_not_drift({"c": samples(QUIET, QUIET, category_drift=1.0)}),
        False,
    ),
    "two of three positive": (fit.elasticities_are_negative(products([0.01, 0.01, -1.0])), False),
    "no refit before": (fit.elasticities_keep_still(changes(products([-1.0]), products([]))), True),
    "no new rows": (fit.elasticities_keep_still(changes(products([]), products([-1.0]))), True),
    "nothing judged": (evidence.heldout_coverage({}), True),
    "nothing fitted": (fit.fits_learned({}), True),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_of_the_checks(name: str) -> None:
    result, passed = LIMITS[name]
    assert result.passed is passed


def test_the_suspects_that_concern_most_are_named() -> None:
    few = sales.no_suspect_units(
        suspects("product 'TOTAL'", what="total row", stores={"store 'ALL'": "by its units"})
    )
    assert few.description == (
        "store 'ALL' is, by its units, the sum of the other stores, and counts twice; leave its rows out; "
        "product 'TOTAL'; see suspect_sales"
    )
    many = sales.no_suspect_prices(suspects("a", "b", "c", "d", "e"))
    assert many.description == "a; b; c; and 2 more; see suspect_sales"
