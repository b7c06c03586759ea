"""A person at the UI: `make dev` in a real browser, Debian's Chromium.

Screenshots are kept in the folder that SCREENSHOTS names, or else in pytest's own.
"""

import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml
from playwright.sync_api import Page, expect, sync_playwright

from elasticity_assets_tests.support.ports import free_port
from elasticity_assets_tests.support.projects import CATEGORIES, settings_dict, simulated_sales
from elasticity_assets_tests.support.waiting import until

ROOT = Path(__file__).parents[2]
LOCATION = "/locations/elasticity_assets"
PATIENCE = 300.0  # seconds; a tick comes every minute
Screenshot = Callable[[str], None]
GROUPS = ["1_sales", "2_fit", "3_evidence", "4_elasticity", "5_published"]


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("Chromium is not installed")
    return found


@pytest.fixture
def address(chromium: str, tmp_path: Path) -> Iterator[str]:
    """`make dev` on a project of two categories, due every minute."""
    with dev_server(tmp_path, simulated_sales(), cron="* * * * *") as address:
        yield address


@contextmanager
def dev_server(folder: Path, sales: pd.DataFrame, cron: str) -> Iterator[str]:
    content = settings_dict() | {"schedule": {"cron": cron}}
    (folder / "elasticity.yaml").write_text(yaml.safe_dump(content))
    (folder / "sales").mkdir()
    sales.to_csv(folder / "sales/sales.csv", index=False)
    environment = os.environ | {"ELASTICITY_CONFIG": str(folder / "elasticity.yaml")}
    environment.pop("DAGSTER_HOME", None)
    port = free_port()
    with (folder / "dev.log").open("wb") as log:
        dev = subprocess.Popen(
            ["make", "dev", f"PORT={port}"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            until(lambda: answers(f"{address}/server_info"), "the webserver", PATIENCE)
            yield address
        finally:
            os.killpg(dev.pid, signal.SIGINT)
            try:
                dev.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(dev.pid, signal.SIGKILL)
                dev.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def page(chromium: str, address: str) -> Iterator[Page]:
    with a_page(chromium, address) as page:
        yield page


@contextmanager
def a_page(chromium: str, address: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000}, base_url=address)
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield page
        browser.close()


@pytest.fixture
def screenshot(page: Page, tmp_path: Path) -> Screenshot:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)

    def take(name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return take


def materialize(page: Page, asset: str, category: str | None = None) -> None:
    """Click Materialize on the page of an asset that never was, for one category if it has partitions, and wait."""
    page.goto(f"/assets/{asset}?view=events")
    page.get_by_role("button", name="Materialize").first.click()
    if category is not None:
        page.get_by_text("Select a partition or create one").click()
        page.get_by_role("menuitem", name=category).click()
        page.keyboard.press("Escape")  # the list, not the dialog
        page.get_by_role("button", name="Launch 1 run").click()
    expect(page.get_by_text("Launched run").first).to_be_visible()
    wait_until_materialized(page, asset)


def wait_until_materialized(page: Page, asset: str) -> None:
    def look() -> bool:
        page.goto(f"/assets/{asset}?view=events")
        page.wait_for_timeout(3000)
        return page.get_by_text("Materialized").count() > 0

    until(look, asset, PATIENCE)


def wait_until_fresh(page: Page, asset: str) -> None:
    """The daemon looks at freshness policies in turns; a page shows what it found when the page was opened."""

    def look() -> bool:
        page.goto(f"/assets/{asset}?view=overview")
        page.wait_for_timeout(3000)
        return page.get_by_text("Passing").count() > 0

    until(look, f"{asset} to be fresh", PATIENCE)


def test_a_person_finds_the_way(page: Page, screenshot: Screenshot) -> None:
    the_graph_shows_the_flow_in_its_order(page, screenshot)
    one_category_is_materialized_by_clicking(page, screenshot)
    its_fit_is_told_in_rounded_numbers(page, screenshot)
    its_checks_read_like_sentences(page, screenshot)
    the_schedule_is_turned_on_and_all_categories_are_done(page, screenshot)


def the_graph_shows_the_flow_in_its_order(page: Page, screenshot: Screenshot) -> None:
    page.goto("/asset-groups")
    graph = page.locator("svg")
    boxes = []
    for group in GROUPS:
        box = graph.get_by_text(group, exact=True).first
        expect(box).to_be_visible()
        boxes.append(box.bounding_box())
    screenshot("1_graph")
    lefts = [box["x"] for box in boxes if box]
    assert lefts == sorted(lefts)


def one_category_is_materialized_by_clicking(page: Page, screenshot: Screenshot) -> None:
    for asset in ("raw_sales", "weekly_sales"):
        materialize(page, asset)
    for asset in ("model_input", "category_posterior"):
        materialize(page, asset, CATEGORIES[0])
    screenshot("2_run")
    page.goto("/assets/category_posterior?view=partitions")
    expect(page.get_by_text("Materialized (1)")).to_be_visible()
    expect(page.get_by_text("Missing (1)")).to_be_visible()


def its_fit_is_told_in_rounded_numbers(page: Page, screenshot: Screenshot) -> None:
    page.goto(f"/assets/category_posterior?view=partitions&partition={CATEGORIES[0]}")
    expect(page.get_by_text("elasticity, before pooling")).to_be_visible()
    expect(page.get_by_text("iterations")).to_be_visible()
    expect(page.get_by_text("[Show Markdown]")).to_have_count(0)
    screenshot("3_partition")


def its_checks_read_like_sentences(page: Page, screenshot: Screenshot) -> None:
    page.goto("/assets/category_posterior?view=checks")
    expect(page.get_by_text("Every fit met its stopping rule.")).to_be_visible()
    expect(page.get_by_text("1 fits, all converged")).to_be_visible()
    screenshot("4_checks")


def the_schedule_is_turned_on_and_all_categories_are_done(page: Page, screenshot: Screenshot) -> None:
    page.goto(f"{LOCATION}/schedules/weekly_refit")
    switch = page.get_by_role("checkbox").first
    expect(switch).not_to_be_checked()
    switch.locator("..").click()  # its label: the box itself is hidden
    expect(switch).to_be_checked()
    screenshot("5_schedule")

    wait_until_materialized(page, "report")
    page.goto(f"{LOCATION}/schedules/weekly_refit")
    page.get_by_role("checkbox").first.locator("..").click()
    page.goto("/assets/product_elasticity?view=partitions")
    expect(page.get_by_text(f"Materialized ({len(CATEGORIES)})")).to_be_visible()
    screenshot("6_all_categories")
    page.goto("/assets/report?view=checks")
    expect(page.get_by_text(f"{len(CATEGORIES)} categories, all refitted")).to_be_visible()
    screenshot("7_all_refitted")
    wait_until_fresh(page, "product_elasticity")
    expect(
        page.get_by_text("Upper end of the 90% credible interval of elasticity [", exact=False)
    ).to_be_visible()
    screenshot("8_columns")


IMAGE = "![x](http://127.0.0.1:9/x.png)<img src=http://127.0.0.1:9/y.png>"
"""A product's code that is an image in Markdown, and another in HTML."""


def test_no_text_of_the_sales_is_an_image(chromium: str, tmp_path: Path) -> None:
    sales = simulated_sales()
    first = sales["product"] == sales["product"].iloc[0]
    sales.loc[first, "product"] = IMAGE
    sales.loc[first & (sales["week"] > sales["week"].median()), "category"] = f"other {IMAGE}"  # it moves
    with dev_server(tmp_path, sales, cron="0 6 * * 1") as address, a_page(chromium, address) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        materialize(page, "raw_sales")
        materialize(page, "weekly_sales")
        for asset in ("raw_sales", "weekly_sales"):
            for view in ("overview", "events", "checks"):
                page.goto(f"/assets/{asset}?view={view}")
                page.wait_for_timeout(2000)
        page.goto("/assets/weekly_sales?view=checks&checkDetail=products_keep_category")
        expect(page.get_by_text("were delivered in several categories").first).to_be_visible()
        page.wait_for_timeout(5000)  # what the page shows beside it
    assert not [url for url in asked if "127.0.0.1:9/" in url]
