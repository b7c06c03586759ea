"""Names with all that SQL, file systems, HTML and plots might stumble over pass through a whole refit."""

import html
import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import yaml

from elasticity_assets.report.files import LATEST
from elasticity_assets_tests.support.projects import (
    Project,
    checks,
    open_project,
    settings_dict,
    simulated_sales,
)

NASTY = 'it\'s "so"; DROP TABLE weekly_sales; --\n<b>{x}</b> $1 %s \\ 🧀 ../é'
COLUMNS = {
    key: f"{key} {NASTY}" for key in ("product", "category", "period", "units", "price", "description")
}
CONTROL = f"display {NASTY}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp('it\'s a "project"; 🧀 é')
    sales = simulated_sales(2).drop(columns="regular_price").rename(columns={"week": "period"})
    for name in ("product", "category"):
        sales[name] = sales[name] + " " + NASTY
    sales["description"] = "of " + sales["product"]
    sales["display"] = sales.groupby("product").cumcount() % 3
    settings = settings_dict()
    settings["sales"] |= {"path": '*\'s "sales"; 🧀.csv', "columns": COLUMNS, "controls": [CONTROL]}
    settings |= {
        "warehouse": "da'ta/ware'house \"; 🧀.duckdb",
        "published": "da'ta/elasti'city \"; 🧀.duckdb",
    }
    (folder / "elasticity.yaml").write_text(yaml.safe_dump(settings))
    project = open_project(folder)
    bad = sales.head(1).assign(units=-1, price=0)
    file = folder / 'all\'s "sales"; 🧀.csv'
    renamed = {**COLUMNS, "display": CONTROL}
    pd.concat([sales, bad]).rename(columns=renamed).to_csv(file, index=False)
    assert project.ingest().success
    result = project.refit()
    assert result.success
    assert [name for name, check in checks(result).items() if check.blocking and not check.passed] == []
    return project


def test_names_are_published_as_delivered(project: Project) -> None:
    sales = simulated_sales(2)
    expected = {
        (f"{category} {NASTY}", f"{product} {NASTY}")
        for category, product in zip(sales["category"], sales["product"], strict=True)
    }
    for table in ("product_elasticity", "price_scenarios", "weekly_sales", "elasticity_history"):
        found = project.published(table)
        assert set(zip(found["category"], found["product"], strict=True)) == expected, table
    products = project.published("product_elasticity")
    assert (products["product_description"] == "of " + products["product"]).all()
    added = {"category_price_index", "category_price_change", "price_lag_1", "price_lag_2"}
    assert set(project.published("control_effect")["control"]) == {CONTROL} | added
    assert CONTROL in project.published("weekly_sales")


def test_nothing_is_lost(project: Project) -> None:
    assert len(project.published("weekly_sales")) == len(simulated_sales(2))
    (rejected,) = project.published("rejected_sales").itertuples()
    assert rejected.reason == "price not positive"
    assert json.loads(rejected.row)[COLUMNS["product"]] == f"p1 {NASTY}"
    assert Path(rejected.file).name == 'all\'s "sales"; 🧀.csv'


def test_the_macro_finds_them(project: Project) -> None:
    product = f"p1 {NASTY}"
    with duckdb.connect(str(project.settings.published), read_only=True) as connection:
        found = connection.execute("SELECT product FROM price_scenario(?, 0.05)", [product]).fetchall()
    assert found == [(product,)]


def test_the_report_shows_them_as_text(project: Project) -> None:
    page = (project.settings.reports / LATEST).read_text(encoding="utf-8")
    assert "<b>{x}</b>" not in page
    assert html.escape("<b>{x}</b>") in page
