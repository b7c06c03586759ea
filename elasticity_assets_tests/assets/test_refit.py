"""The jobs `ingest` and `refit` as a whole, on small simulated sales."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from elasticity_assets.automation.partitions import category_of, partition_key
from elasticity_assets.automation.run_failures import settings_mistakes
from elasticity_assets.command.runs import what_failed
from elasticity_assets.definitions import build_definitions
from elasticity_assets.fitting.array_store import ArrayStore
from elasticity_assets.fitting.fitter import FittedCategory, Fitter
from elasticity_assets.inference import engines
from elasticity_assets.inference.judging import heldout
from elasticity_assets.inference.judging.cross_check import CrossCheck
from elasticity_assets.inference.natural_gradient import two_slopes
from elasticity_assets.report import charts
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.pages import needs_nothing
from elasticity_assets_tests.support.projects import (
    CATEGORIES,
    Project,
    checks,
    make_project,
    same_numbers,
    simulated_sales,
)

TABLES = [
    "product_elasticity",
    "zone_elasticity",
    "category_move_elasticity",
    "category_elasticity",
    "global_elasticity",
    "control_effect",
    "fit_diagnostics",
    "price_scenarios",
    "promotion_elasticity",
    "weekly_sales",
    "rejected_sales",
]
FIRST, SECOND = CATEGORIES


@pytest.fixture
def new_project(tmp_path) -> Project:
    """A project that was not refitted yet."""
    project = make_project(tmp_path)
    assert project.ingest().success
    return project


@pytest.fixture
def break_category(monkeypatch):
    """Let the engine fail for one category."""
    fit = engines.fit

    def broken(panel, *args, **kwargs):
        if panel.category == FIRST:
            raise ValueError("no\nluck")
        return fit(panel, *args, **kwargs)

    return lambda: monkeypatch.setattr(engines, "fit", broken)


def how_fitted(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """What each partition's materialization says of its fit."""
    events = result.get_asset_materialization_events()
    found = [
        event.materialization for event in events if event.asset_key == dg.AssetKey("category_posterior")
    ]
    return {str(m.partition): m.metadata["fit"].value.split(":")[0] for m in found}


def test_one_run_fits_pools_and_publishes_all_categories(new_project: Project) -> None:
    result = new_project.refit()
    assert result.success
    assert how_fitted(result) == dict.fromkeys(map(partition_key, CATEGORIES), "fitted")
    html = (new_project.settings.reports / f"{result.run_id}.html").read_text(encoding="utf-8")
    assert (new_project.settings.reports / "latest.html").read_text(encoding="utf-8") == html
    page = needs_nothing(html)
    assert {*CATEGORIES, *new_project.published("product_elasticity")["product"]} <= set(page.texts)
    kinds = [kind for kind, _ in page.charts]
    each = ["shrinkage", "demand", "demand", "drift", "pit", "coverage", "elbo_trace"]
    answers = ["gains"] * (kinds[0] == "gains")  # where several prices are to change, which is up to chance
    assert kinds == [*answers, "elasticities", *each, *each]
    published = new_project.published("category_elasticity").sort_values("elasticity")
    rows = page.data[len(answers)]["rows"]
    assert rows["name"] == list(published["category"])
    np.testing.assert_allclose(rows["mean"], published["elasticity"], rtol=1e-3)
    shrunk = page.data[len(answers) + 1]["rows"]
    products = (
        new_project.published("product_elasticity").query("category == @FIRST").sort_values("elasticity")
    )
    assert shrunk["name"] == list(products["product"])
    np.testing.assert_allclose(shrunk["low"], products["elasticity_q05"], rtol=1e-3)
    assert len(html) < 1_200_000

    # What the evidence says of so few sales is up to chance.
    evidence = {"heldout_evaluation", "split_samples", "confounding_tests"}
    of_program = [
        check for check in checks(result).values() if check.asset_key.to_user_string() not in evidence
    ]
    assert len(of_program) > 10
    assert all(check.passed for check in of_program), [c.description for c in of_program if not c.passed]
    products = new_project.published("product_elasticity")
    assert products.groupby("category").size().to_dict() == {FIRST: 4, SECOND: 4}
    assert sorted(new_project.published("category_elasticity")["category"]) == CATEGORIES
    assert new_project.published("global_elasticity")[["n_categories", "n_products"]].to_numpy().tolist() == [
        [2, 8]
    ]
    scenarios = new_project.published("price_scenarios")
    assert len(scenarios) == 9 * 8
    assert len(new_project.published("category_move_elasticity")) == 8
    assert scenarios.filter(regex="^category_").notna().all().all()
    slopes = new_project.published("promotion_elasticity").merge(
        products, on=["category", "product", "fit_id"]
    )
    assert len(slopes) == 8
    last = slopes["product"] == slopes.groupby("category")["product"].transform("max")
    assert slopes["flag_x"].str.startswith("the discount never changed").fillna(False).equals(last)
    assert (slopes["n_promotion_periods"] > 0).equals(~last)
    assert (slopes.loc[~last, "promotion_elasticity"] < 0).all()
    assert new_project.published("refits")["refit_id"].tolist() == [result.run_id]
    found = new_project.published("check_results")  # and what the run found that took the sales in
    later = {"published_elasticity", "report"}
    nothing = {"elasticities_keep_still"}  # of a first refit
    assert (
        set(found.loc[found["refit_id"] == result.run_id, "check"])
        == {name for name, check in checks(result).items() if check.asset_key.path[-1] not in later} - nothing
    )


def test_twice_gives_the_same_tables_and_fits_nothing_anew(new_project: Project) -> None:
    new_project.refit()
    first = {table: new_project.published(table) for table in TABLES}
    assert new_project.ingest().success
    result = new_project.refit()
    assert how_fitted(result) == dict.fromkeys(map(partition_key, CATEGORIES), "kept")
    for table in TABLES:
        assert same_numbers(new_project.published(table), first[table]), table
    assert len(new_project.published("refits")) == 2


def test_arrays_in_an_object_store_give_the_same_tables(
    project: Project, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELASTICITY_ARRAYS", f"s3://{bucket}/arrays")
    other = make_project(tmp_path / "other")
    assert other.ingest().success
    assert other.refit().success
    for table in TABLES:
        assert same_numbers(other.published(table), project.published(table)), table
    assert not list(other.folder.rglob("*.npz"))
    again = other.refit(assets=["category_posterior"])
    assert how_fitted(again) == dict.fromkeys(map(partition_key, CATEGORIES), "kept")


def test_a_run_whose_store_has_no_such_bucket_says_so_in_one_line(
    s3_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELASTICITY_ARRAYS", "s3://no-such-bucket/arrays")
    project = make_project(tmp_path)
    assert project.ingest().success
    (line,) = what_failed(project.refit())
    assert line.startswith("model_input: s3://no-such-bucket/arrays/model_input/")
    assert line.endswith(
        "bucket does not exist; check `arrays` in the settings, and the store's address and credentials in the "
        "environment"
    )


def test_a_full_refit_gives_the_same_tables_and_fits_all_anew(new_project: Project) -> None:
    new_project.refit()
    first = {table: new_project.published(table) for table in TABLES}
    result = new_project.refit(changed_only=False)
    assert how_fitted(result) == dict.fromkeys(map(partition_key, CATEGORIES), "fitted")
    for table in TABLES:
        assert same_numbers(new_project.published(table), first[table]), table
    assert (
        not new_project.published("product_elasticity")["fit_id"]
        .isin(first["product_elasticity"]["fit_id"])
        .any()
    )


def test_only_the_category_whose_sales_changed_is_fitted(project: Project) -> None:
    before = project.published("product_elasticity").set_index("category")
    sales = simulated_sales()
    changed = sales["category"] == SECOND
    project.write_sales(sales.assign(units=sales["units"].where(~changed, sales["units"] + 1)))
    assert project.ingest().success
    result = project.refit()
    assert how_fitted(result) == {partition_key(FIRST): "kept", partition_key(SECOND): "fitted"}
    after = project.published("product_elasticity").set_index("category")
    assert (after.loc[FIRST, "fit_id"] == before.loc[FIRST, "fit_id"]).all()
    assert (after.loc[SECOND, "fit_id"] != before.loc[SECOND, "fit_id"]).all()
    # pooling passes the news on to the other category
    assert (after.loc[FIRST, "elasticity"].to_numpy() != before.loc[FIRST, "elasticity"].to_numpy()).all()


def test_named_categories_are_fitted_and_all_are_published(project: Project) -> None:
    result = project.refit(categories=[SECOND])
    assert how_fitted(result) == {partition_key(FIRST): "kept", partition_key(SECOND): "fitted"}
    assert sorted(project.published("category_elasticity")["category"]) == CATEGORIES


def two_slopes_metadata(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("promotion_elasticity")
    ]
    return {name: value.value for name, value in event.metadata.items()}


def test_one_partition_alone_is_refitted_and_published(project: Project) -> None:
    before = project.published("product_elasticity").set_index("category")
    slopes_before = project.published("promotion_elasticity").set_index("category")
    result = project.refit(changed_only=False, partition_key=partition_key(SECOND))
    assert result.success
    assert how_fitted(result) == {partition_key(SECOND): "fitted"}
    after = project.published("product_elasticity").set_index("category")
    assert (after.loc[SECOND, "fit_id"] != before.loc[SECOND, "fit_id"]).all()
    assert (after.loc[FIRST, "fit_id"] == before.loc[FIRST, "fit_id"]).all()

    slopes = project.published("promotion_elasticity").set_index("category")
    assert slopes.loc[[FIRST]].equals(slopes_before.loc[[FIRST]])
    assert set(slopes.loc[SECOND, "fit_id"]) == set(after.loc[SECOND, "fit_id"])
    assert project.published("price_scenarios").groupby("category").size().to_dict() == {
        FIRST: 9 * 4,
        SECOND: 9 * 4,
    }
    told = two_slopes_metadata(result)
    assert (told["categories fitted"], told["kept: of the fit in product_elasticity"]) == (1, 1)
    assert told["dagster/row_count"] == 8


def test_two_slopes_of_one_category_do_not_depend_on_what_is_stored_of_another(project: Project) -> None:
    before = project.published("promotion_elasticity").set_index("category")
    store = ArrayStore(folder=project.settings.arrays_folder)
    panel = store.read(dg.AssetKey("model_input"), partition_key(FIRST))
    assert panel is not None
    of_another_version = {name: array for name, array in panel.items() if not name.endswith("log_price")}
    assert len(of_another_version) < len(panel)
    store.write(dg.AssetKey("model_input"), of_another_version, partition_key(FIRST))

    assert project.refit(changed_only=False, partition_key=partition_key(SECOND)).success
    after = project.published("promotion_elasticity").set_index("category")
    assert after.loc[[FIRST]].equals(before.loc[[FIRST]])
    assert (after.loc[SECOND, "fit_id"] != before.loc[SECOND, "fit_id"]).all()

    with Warehouse(path=str(project.settings.warehouse)).write() as connection:
        connection.execute("DELETE FROM promotion_elasticity")
    result = project.refit(partition_key=partition_key(SECOND))
    assert checks(result)["two_slopes_fitted"].description == f"without rows: {FIRST!r}"
    assert set(project.published("promotion_elasticity")["category"]) == {SECOND}


def test_a_failed_category_keeps_its_last_rows_and_turns_the_run_red(
    project: Project, break_category
) -> None:
    tables = ("product_elasticity", "promotion_elasticity")
    before = {table: project.published(table).set_index("category") for table in tables}
    break_category()
    sales = simulated_sales()
    project.write_sales(sales.assign(units=sales["units"] + 1))
    assert project.ingest().success
    result = project.refit()

    assert not result.success
    assert [event.step_key for event in result.get_step_failure_events()] == ["report"]
    last = checks(result)["every_category_refitted"]
    assert not last.passed
    assert last.description == f"not refitted: {FIRST!r}"
    assert how_fitted(result) == {partition_key(FIRST): "failed", partition_key(SECOND): "fitted"}

    for table in tables:
        after = project.published(table).set_index("category")
        old, new = before[table].loc[[FIRST]], after.loc[[FIRST]]
        assert same_numbers(new.drop(columns="flag"), old.drop(columns="flag"))
        assert (new["fit_id"] == old["fit_id"]).all()
        assert new["flag"].str.contains("old: this refit failed").all()
        assert not after.loc[SECOND, "flag"].astype(str).str.contains("old").any()
        assert (after.loc[SECOND, "fit_id"] != before[table].loc[SECOND, "fit_id"]).all()
    assert project.published("refits")["failed"].tolist()[-1].tolist() == [FIRST]


def test_two_slopes_that_cannot_be_fitted_leave_the_rest_published(new_project: Project, monkeypatch) -> None:
    fit = two_slopes.fit

    def broken(panel, *args):
        if panel.category == FIRST:
            raise ValueError("no\nluck")
        return fit(panel, *args)

    monkeypatch.setattr(two_slopes, "fit", broken)
    result = new_project.refit()
    assert result.success
    assert checks(result)["two_slopes_fitted"].description == f"without rows: {FIRST!r}"
    assert set(new_project.published("promotion_elasticity")["category"]) == {SECOND}
    assert sorted(new_project.published("category_elasticity")["category"]) == CATEGORIES
    monkeypatch.undo()
    second = new_project.published("promotion_elasticity")
    assert new_project.refit().success  # tries again, and keeps the other category's
    after = new_project.published("promotion_elasticity")
    assert sorted(after["category"].unique()) == CATEGORIES
    assert second.equals(after[after["category"] == SECOND].reset_index(drop=True))


def test_without_regular_prices_there_is_no_row_and_no_complaint(tmp_path, project: Project) -> None:
    columns = project.settings.sales.columns.model_copy(update={"regular_price": None})
    sales = project.settings.sales.model_copy(update={"columns": columns})
    without = replace(project, settings=project.settings.model_copy(update={"sales": sales}))
    assert without.ingest().success
    result = without.refit()
    assert result.success
    assert checks(result)["two_slopes_fitted"].passed
    assert project.published("promotion_elasticity").empty


def test_a_category_that_failed_is_tried_again_and_its_flag_goes(
    project: Project, break_category, monkeypatch
) -> None:
    break_category()
    assert not project.refit(changed_only=False).success
    monkeypatch.undo()
    result = project.refit(categories=[FIRST])
    assert result.success
    assert project.published("product_elasticity")["flag"].isna().all()


def test_a_failed_category_stays_flagged_while_others_are_refitted(project: Project, break_category) -> None:
    break_category()
    sales = simulated_sales()
    project.write_sales(sales.assign(units=sales["units"] + 1))
    assert project.ingest().success
    assert not project.refit().success
    result = project.refit(categories=[SECOND])
    assert how_fitted(result) == {partition_key(FIRST): "kept", partition_key(SECOND): "fitted"}
    assert not checks(result)["every_category_refitted"].passed
    flags = project.published("product_elasticity").set_index("category")["flag"]
    assert flags[FIRST].str.contains("old").all()
    assert flags[SECOND].isna().all()


def test_a_category_that_lost_a_product_is_fitted_though_another_is_named(project: Project) -> None:
    sales = simulated_sales()
    lost = sales.loc[sales["category"] == FIRST, "product"].max()
    project.write_sales(sales[sales["product"] != lost])
    assert project.ingest().success
    result = project.refit(categories=[SECOND])
    assert result.success, what_failed(result)
    assert how_fitted(result) == dict.fromkeys(map(partition_key, CATEGORIES), "fitted")
    products = project.published("product_elasticity")
    assert products.groupby("category").size().to_dict() == {FIRST: 3, SECOND: 4}


def test_tables_of_a_fit_that_was_not_pooled_are_refused_in_one_line(project: Project) -> None:
    before = project.published("product_elasticity")
    assert project.refit(changed_only=False, assets=["category_posterior"]).success
    for table in ("product_elasticity", "category_elasticity"):
        (line,) = what_failed(project.refit(assets=[table]))
        assert "materialize hierarchy" in line
        assert "\n" not in line
    by_category = ["product_elasticity", "price_scenarios", "promotion_elasticity"]
    assert project.refit(assets=["hierarchy", *by_category]).success
    assert project.refit(assets=["category_elasticity", "published_elasticity"]).success
    assert same_numbers(project.published("product_elasticity"), before)


def test_tables_that_a_killed_run_left_of_two_fits_are_published_of_the_last(
    project: Project, break_category
) -> None:
    old = project.published("product_elasticity").set_index("category")
    half = ["category_posterior", "hierarchy", "product_elasticity"]  # then the run was killed
    assert project.refit(changed_only=False, assets=half).success
    break_category()
    result = project.refit(changed_only=False)
    assert [line for line in what_failed(result) if not line.startswith("category ")] == []
    new = project.published("product_elasticity").set_index("category")
    assert new.loc[FIRST, "flag"].str.contains("old").all()
    assert set(new.loc[FIRST, "fit_id"]).isdisjoint(old.loc[FIRST, "fit_id"])
    categories = project.published("category_elasticity").set_index("category")
    assert set(new.loc[FIRST, "fit_id"]) == {categories.loc[FIRST, "fit_id"]}


def test_a_category_that_never_was_fitted_is_named_and_the_others_are_published(
    new_project: Project, break_category
) -> None:
    break_category()
    result = new_project.refit()
    assert not result.success
    assert checks(result)["every_category_refitted"].description == f"not refitted: {FIRST!r}"
    assert set(new_project.published("product_elasticity")["category"]) == {SECOND}
    page = needs_nothing((new_project.settings.reports / "latest.html").read_text(encoding="utf-8"))
    assert FIRST in page.texts
    assert any("no luck" in text for text in page.texts)
    assert [name for name in page.ids if name.startswith("category-")] == ["category-1"]


def test_a_chart_that_cannot_be_drawn_costs_its_section_and_nothing_else(
    project: Project, break_category, monkeypatch
) -> None:
    sales = simulated_sales()
    project.write_sales(sales.assign(units=sales["units"] + 1))
    assert project.ingest().success
    break_category()

    def broken(*args):
        raise ValueError("no\npaper")

    monkeypatch.setattr(charts, "elbo_trace", broken)
    result = project.refit()
    why = "ValueError: no paper"
    section = checks(result)["every_section_made"]
    assert not section.passed
    assert section.severity == dg.AssetCheckSeverity.WARN
    assert {record.data["message"] for record in section.metadata["categories"].records} == {why}
    (made,) = result.asset_materializations_for_node("report")
    assert made.metadata["sections not made"].value == section.description.removeprefix(
        "no section in the report: "
    )
    assert checks(result)["every_category_refitted"].description == f"not refitted: {FIRST!r}"
    page = needs_nothing((project.settings.reports / "latest.html").read_text(encoding="utf-8"))
    assert page.texts.count(f"No charts: {why}") == 2
    assert any("no luck" in text for text in page.texts)


def test_a_category_without_sales_any_more_leaves_the_tables(project: Project) -> None:
    sales = simulated_sales()
    project.write_sales(sales.assign(category=SECOND))
    assert project.ingest().success
    assert project.partition_keys() == [partition_key(SECOND)]
    assert project.refit().success
    for table in (
        "product_elasticity",
        "category_elasticity",
        "fit_diagnostics",
        "price_scenarios",
        "weekly_sales",
    ):
        assert set(project.published(table)["category"]) == {SECOND}, table


def test_a_new_category_is_fitted_after_the_same_ingest(project: Project) -> None:
    more = simulated_sales(n_categories=3)
    project.write_sales(more[~more["category"].isin(CATEGORIES)], "more.csv")
    assert project.ingest().success
    result = project.refit()
    assert sorted(how_fitted(result).values()) == ["fitted", "kept", "kept"]
    assert project.published("global_elasticity")["n_categories"].item() == 3


def test_files_that_cannot_be_used_fail_the_run_and_the_published_file_stays(project: Project) -> None:
    before = project.settings.published.read_bytes()
    project.write_sales(pd.DataFrame({"nothing": [1]}))
    result = project.ingest()
    assert not result.success
    (line,) = what_failed(result)
    assert "sales.csv" in line
    assert "\n" not in line
    assert settings_mistakes(result.all_events)
    assert project.settings.published.read_bytes() == before


def test_tables_that_disagree_are_not_published(project: Project) -> None:
    before = project.settings.published.read_bytes()
    with Warehouse(path=str(project.settings.warehouse)).write() as connection:
        connection.execute("DELETE FROM price_scenarios WHERE category = ?", [FIRST])
    result = project.refit(assets=["published_elasticity"])
    assert not result.success
    check = checks(result)["published_tables_agree"]
    assert not check.passed
    assert f"category {FIRST}: 0 rows in price_scenarios" in check.description
    assert any("stays as it was" in line for line in what_failed(result))
    assert project.settings.published.read_bytes() == before


def test_sales_of_the_future_are_neither_fitted_nor_published(project: Project) -> None:
    late = simulated_sales().tail(1).assign(week="2099-01-05")
    project.write_sales(late, "late.csv")
    result = project.ingest()
    assert result.success
    assert checks(result)["weekly_sales_keep_their_contract"].passed
    assert project.refit().success
    assert project.published("weekly_sales")["period_start"].max() < pd.Timestamp("2099-01-01")
    reasons = project.published("rejected_sales").query("file.str.endswith('late.csv')")["reason"]
    assert reasons.tolist() == ["period in the future"]


def test_evidence_is_published_and_kept_with_its_fit(project: Project) -> None:
    fits, scores = project.published("fit_diagnostics"), project.published("heldout_scores")
    assert fits["heldout_coverage_90"].between(0.5, 1.0).all()
    assert fits[["heldout_log_score", "heldout_wape", "split_sample_agreement", "drift"]].notna().all().all()
    assert (fits["serial_correlation_factor"] >= 1.0).all()
    assert set(scores["model"]) == {
        "this model",
        "one slope for all products",
        "each product on its own",
        "no price effect",
    }
    assert scores.groupby(["category", "cells"]).size().eq(4).all()
    ours = scores[(scores["cells"] == "folds") & (scores["model"] == "this model")].set_index("category")
    assert ours["log_score"].to_dict() == fits.set_index("category")["heldout_log_score"].to_dict()
    again = project.refit()
    assert again.success
    events = again.get_asset_materialization_events()
    judged = {str(e.asset_key.to_user_string()) for e in events if "log score" in e.materialization.metadata}
    assert judged == set()  # the fits were kept, and so was their evidence
    assert same_numbers(project.published("fit_diagnostics"), fits)


def test_materializations_show_the_rows_they_made_rounded(new_project: Project) -> None:
    events = new_project.refit().get_asset_materialization_events()
    shown = {
        (event.asset_key.to_user_string(), event.partition): event.materialization.metadata
        for event in events
    }
    first = shown["product_elasticity", partition_key(FIRST)]
    assert first["dagster/row_count"].value == 4
    published = new_project.published("product_elasticity").set_index("product")
    rows = [record.data for record in first["rows"].records]
    ours = published[published["category"] == FIRST].sort_values("revenue", ascending=False)
    assert [row["product"] for row in rows] == list(ours.index)
    for row in rows:
        assert row["elasticity"] == round(published.loc[row["product"], "elasticity"], 3)
    assert first["charts of the last report"].value == str(new_project.settings.reports / "latest.html")
    of_moves = shown["category_move_elasticity", partition_key(FIRST)]
    assert of_moves["dagster/row_count"].value == 4
    assert [record.data["product"] for record in of_moves["rows"].records] == sorted(ours.index)
    for asset, n_rows in (
        ("category_elasticity", 2),
        ("global_elasticity", 1),
        ("control_effect", 8),  # the index, its change and two lags
        ("fit_diagnostics", 2),
        ("heldout_scores", len(new_project.published("heldout_scores"))),
        ("promotion_elasticity", 8),
        ("price_scenarios", 20),
    ):
        assert len(shown[asset, None]["rows"].records) == min(n_rows, 20)
    numbers = [
        number
        for metadata in shown.values()
        for value in metadata.values()
        for number in (
            [cell for record in value.records for cell in record.data.values()]
            if isinstance(value, dg.TableMetadataValue)
            else [value.value]
        )
        if isinstance(number, float)
    ]
    assert len(numbers) > 100
    assert all(number == round(number, 3) or np.isnan(number) for number in numbers)


def test_nothing_is_drawn_for_the_ui(new_project: Project) -> None:
    events = new_project.refit().get_asset_materialization_events()
    for event in events:
        for value in event.materialization.metadata.values():
            assert "data:image" not in str(value.value)


def test_a_category_without_sales_any_more_is_named(project: Project) -> None:
    project.write_sales(simulated_sales().assign(category=SECOND))
    assert project.ingest().success
    result = project.refit()
    check = checks(result)["no_category_went_missing"]
    assert not check.passed
    assert repr(FIRST) in check.description


def test_a_jump_since_the_last_refit_is_told(project: Project) -> None:
    with Warehouse(path=str(project.settings.warehouse)).write() as connection:
        connection.execute(
            "UPDATE product_elasticity SET elasticity = elasticity - 30 WHERE category = ?", [SECOND]
        )
    check = checks(project.refit())["elasticities_keep_still"]
    assert not check.passed
    assert check.description == f"4 of 8 elasticities jumped since the last refit: {SECOND!r}"


def test_a_category_that_cannot_be_judged_is_published_without_evidence(
    new_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = heldout.evaluate

    def broken(panel, *args, **kwargs):
        if panel.category == FIRST:
            raise ValueError("no luck")
        return evaluate(panel, *args, **kwargs)

    monkeypatch.setattr(heldout, "evaluate", broken)
    result = new_project.refit()
    assert result.success
    check = checks(result)["heldout_evaluation_succeeded"]
    assert not check.passed
    assert check.description == f"not judged: {FIRST!r}"
    fits = new_project.published("fit_diagnostics").set_index("category")
    assert fits["heldout_coverage_90"].isna().to_dict() == {FIRST: True, SECOND: False}
    assert len(new_project.published("product_elasticity")) == 8
    monkeypatch.undo()
    assert new_project.refit().success
    assert new_project.published("fit_diagnostics")["heldout_coverage_90"].notna().all()


def test_a_stored_fit_of_another_version_whose_new_fit_fails_keeps_its_rows(
    project: Project, break_category
) -> None:
    before = project.published("product_elasticity").set_index("category")
    store = ArrayStore(folder=project.settings.arrays_folder)
    asset, key = dg.AssetKey("category_posterior"), partition_key(FIRST)
    arrays = dict(store.read(asset, key))
    del arrays["tau"]
    store.write(asset, arrays, key)
    break_category()
    result = project.refit(changed_only=False)
    assert list(what_failed(result)) == [
        f"category {FIRST!r} was not refitted, its last numbers stay: ValueError: no luck"
    ]
    after = project.published("product_elasticity").set_index("category")
    assert after.loc[FIRST, "flag"].str.contains("old: this refit failed").all()
    assert (after.loc[FIRST, "elasticity"] == before.loc[FIRST, "elasticity"]).all()
    assert (after.loc[SECOND, "fit_id"] != before.loc[SECOND, "fit_id"]).all()


def test_evidence_is_of_the_sales_that_were_fitted(project: Project) -> None:
    """Sales that changed after a fit which was not asked for again are not judged under its name."""
    first = project.published("fit_diagnostics").set_index("category")
    sales = simulated_sales()
    project.write_sales(sales.assign(units=sales["units"] + 1))
    assert project.ingest().success
    result = project.refit(categories=[SECOND])
    assert checks(result)["heldout_evaluation_succeeded"].passed  # the old evidence of the old fit stands
    after = project.published("fit_diagnostics").set_index("category")
    assert after.loc[FIRST, "heldout_log_score"] == first.loc[FIRST, "heldout_log_score"]
    assert after.loc[SECOND, "heldout_log_score"] != first.loc[SECOND, "heldout_log_score"]


def test_nuts_checks_categories_in_turns(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def cross_check(most: int) -> dg.ExecuteInProcessResult:
        job = build_definitions(project.settings).resolve_job_def("cross_check")
        config = {"ops": {"nuts_cross_check": {"config": {"most": most}}}}
        return job.execute_in_process(instance=project.instance, run_config=config, raise_on_error=False)

    def fake(fitter: Fitter, task: FittedCategory) -> CrossCheck:
        category = task.panel.category
        if category == FIRST and broken:
            raise ValueError("no luck")
        return CrossCheck(category, 4, 0.01, 0.02, 1.0, 0.9, 1.1, 1.0, 1000.0, 0)

    monkeypatch.setattr(Fitter, "cross_check", fake)
    broken = True
    result = cross_check(most=1)  # the first fails, the second is checked in its place
    check = checks(result)["posteriors_match_nuts"]
    assert not check.passed
    assert check.description.endswith(f": {FIRST!r}")
    broken = False
    assert checks(cross_check(most=1))["posteriors_match_nuts"].passed
    assert project.refit().success
    assert sorted(project.published("nuts_cross_check")["category"]) == CATEGORIES


def stored_posteriors(project: Project) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in Path(project.settings.arrays_folder, "category_posterior").iterdir()
        if file.is_file()
    }


def test_one_changed_category_of_eight_is_fitted_and_all_rows_are_a_full_refits(tmp_path) -> None:
    sales = simulated_sales(9)
    names = sorted(sales["category"].unique())
    *known, new = names
    project = make_project(tmp_path, sales[sales["category"] != new])
    project.ingest()
    project.refit()
    before = stored_posteriors(project)
    assert len(before) == 8
    changed = sales[sales["category"] == known[3]]
    changed = changed.assign(units=changed["units"].where(changed["week"] < changed["week"].max(), 3))
    project.write_sales(pd.concat([changed, sales[sales["category"] == new]]), "sales_of_this_week.csv")
    project.ingest()
    result = project.refit()
    assert result.success
    fitted = [category_of(key) for key, how in how_fitted(result).items() if how == "fitted"]
    assert sorted(fitted) == sorted([known[3], new])
    after = stored_posteriors(project)
    assert len(after) == 9
    assert sum(after[name] == content for name, content in before.items()) == 7
    warm = project.published("product_elasticity").set_index(["category", "product"])
    assert project.refit(changed_only=False).success
    full = project.published("product_elasticity").set_index(["category", "product"])
    assert len(full) == len(warm) == 4 * 9
    sd = full["elasticity_sd"]
    moved = abs(warm["elasticity"] - full["elasticity"]) / sd
    print(f"at most {moved.max():.2g} posterior sd from the full refit")
    assert moved.max() < 0.03  # scales have a tenth of their sd to go at most
    assert abs(warm["elasticity_sd"] / sd - 1.0).max() < 0.03
