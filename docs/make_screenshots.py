"""Take the screenshots of the documents anew: python docs/make_screenshots.py [PROJECT].

PROJECT is a folder with a refitted sample; without it, one is made and refitted. Writes docs/images/*.png. Needs
Chromium.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path

from make_tutorial import ROOT, sample_project
from playwright.sync_api import Page, sync_playwright

IMAGES = ROOT / "docs" / "images"
BIN = Path(sys.executable).parent
GROUPS = ("1_sales", "2_fit", "3_evidence", "4_elasticity", "5_published")


def main() -> None:
    """Take all of them."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(sys.argv[1]) if sys.argv[1:] else refitted_sample(Path(folder) / "elasticity_assets")
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(120_000)
            take_report(page, project)
            with app(project) as address:
                take_app(page, address)
            with ui(project) as address:
                take_ui(page, address)
            chromium.close()


def refitted_sample(folder: Path) -> Path:
    """Refit a copy of the sample; by revenue, since it has no costs, and prices are lowered then, too."""
    project = sample_project(folder)
    with (project / "elasticity.yaml").open("a") as settings:
        settings.write("pricing: {objective: revenue}\n")
    subprocess.run([BIN / "elasticity", "refit"], cwd=project, check=True)  # noqa: S603 this project's
    return project


@contextmanager
def ui(project: Path) -> Iterator[str]:
    """Serve Dagster's UI of the project on the loopback address."""
    command = [BIN / "dagster-webserver", "-w", ROOT / "workspace.yaml", "-h", "127.0.0.1", "-p"]
    with served(command, project, "server_info") as address:
        yield address


@contextmanager
def app(project: Path) -> Iterator[str]:
    """Serve the page for pricing teams on the loopback address."""
    with served([BIN / "elasticity", "app", "--port"], project, "_stcore/health") as address:
        yield address


@contextmanager
def served(command: list[str | Path], project: Path, ready: str) -> Iterator[str]:
    """Serve what a command, which a port ends, serves of the project; once the address `ready` answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = subprocess.Popen(  # noqa: S603 this project's
        [*command, port],
        env=environ
        | {
            "DAGSTER_HOME": str(project / ".dagster"),
            "ELASTICITY_CONFIG": str(project / "elasticity.yaml"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/{ready}").close()  # noqa: S310 the loopback address
                break
            except OSError:
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait()


def take_report(page: Page, project: Path) -> None:
    """Take the report's first screen, and a category's section."""
    page.goto((project / "data" / "reports" / "latest.html").as_uri())
    page.wait_for_timeout(5000)  # its charts are drawn
    save(page, "report")
    section = page.locator(".section", has_text="CHEESE").first
    section.locator("summary").first.click()
    section.evaluate("section => section.scrollIntoView()")
    page.wait_for_timeout(4000)  # its charts are drawn
    save(page, "report_category")


def take_app(page: Page, address: str) -> None:
    """Take the page's first view."""
    page.goto(address)
    page.locator(".answer").wait_for()
    page.wait_for_timeout(5000)  # its table is drawn
    save(page, "page")


def take_ui(page: Page, address: str) -> None:
    """Take the graph of the assets, and the rows of one."""
    page.goto(f"{address}/locations/elasticity_assets")  # waits until the code is loaded
    page.goto(f"{address}/asset-groups?expanded={','.join(f'global@global:{group}' for group in GROUPS)}")
    page.wait_for_timeout(10_000)  # the graph is laid out
    page.get_by_text("Hide navigation").click()
    page.wait_for_timeout(3000)
    save(page, "ui_assets")
    page.goto(f"{address}/assets/category_elasticity?view=events")
    page.wait_for_timeout(10_000)
    save(page, "ui_asset")


def save(page: Page, name: str) -> None:
    """Keep what the page shows."""
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
