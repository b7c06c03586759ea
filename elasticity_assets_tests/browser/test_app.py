"""A pricing manager at `elasticity app`: on a desk and on a telephone. A real browser, Debian's Chromium.

Screenshots are kept in the folder that SCREENSHOTS names, or else in pytest's own.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import openpyxl
import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from elasticity_assets_tests.browser.test_ui import answers
from elasticity_assets_tests.support.ports import free_port
from elasticity_assets_tests.support.prices_to_change import (
    ATTRIBUTE,
    FORMULA,
    HOSTILE,
    HTML,
    IMAGE,
    MARKDOWN,
    SOUP,
    publish_prices,
)
from elasticity_assets_tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.server]

PATIENCE = 60.0  # seconds
WIDTHS = [1400, 390]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    publish_prices(folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-c", "from elasticity_assets.command.cli import main; main()", "app"]
    environment = os.environ | {"ELASTICITY_CONFIG": str(folder / "elasticity.yaml")}
    with (folder / "app.log").open("wb") as log:
        served = subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            until(lambda: answers(f"{address}/_stcore/health"), "the page's server", PATIENCE)
            yield address
        finally:
            served.send_signal(signal.SIGINT)
            served.wait(timeout=PATIENCE)
    log_text = (folder / "app.log").read_text()
    assert f"the page: {address}" in log_text
    assert "Traceback" not in log_text
    assert "External URL" not in log_text


@pytest.fixture
def complaints() -> list[str]:
    """What the page throws, what it asks for elsewhere, and what opens by itself."""
    return []


@pytest.fixture(params=WIDTHS)
def page(
    request: pytest.FixtureRequest, browser: Browser, address: str, complaints: list[str]
) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    page.set_default_timeout(1000 * PATIENCE)
    expect.set_options(timeout=1000 * PATIENCE)

    def asked(url: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            complaints.append(url)

    page.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda socket: asked(socket.url.replace("ws://", "http://")))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    yield page
    expect.set_options(timeout=5000)
    page.close()
    assert complaints == []


def screenshot(page: Page, name: str, tmp_path: Path) -> None:
    """Keep the whole view: it scrolls inside the window."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    size = page.viewport_size
    assert size
    tall = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": min(max(tall + 80, 900), 3000)})
    page.wait_for_timeout(500)  # charts take their new size
    page.screenshot(path=folder / f"app_{name}_{size['width']}.png")
    page.set_viewport_size(size)


def choose_row(page: Page, number: int) -> None:
    """Tick the row's box: the table is a canvas."""
    table = page.get_by_test_id("stDataFrame").first
    expect(table.locator("canvas").first).to_be_visible()
    table.click(position={"x": 16, "y": 36 + 35 * number + 17})


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    return bool(wide <= page.viewport_size["width"])  # type: ignore[index]


def test_prices_are_looked_at_decided_on_and_downloaded(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    expect(page.locator(".answer")).to_contain_text("Raise 5 prices, lower 1, keep 1.")
    choose_row(page, 0)
    page.get_by_role("button", name="Accept 1 chosen").click()
    expect(page.get_by_text("1 accepted, 0 rejected")).to_be_visible()
    screenshot(page, "prices", tmp_path)
    assert fits(page)
    search = page.get_by_placeholder("product code or description")
    search.fill(FORMULA)
    search.press("Enter")
    page.get_by_role("button", name="Reject all 1").click()
    expect(page.get_by_text("1 accepted, 1 rejected")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Excel").click()
    file = tmp_path / "prices.xlsx"
    download.value.save_as(file)
    rows = list(openpyxl.load_workbook(file).active.iter_rows(values_only=True))
    assert [row[0] for row in rows] == ["decision", "accepted", "rejected"]
    assert rows[2][2] == FORMULA


def test_a_page_that_lags_behind_downloads_what_is_decided(page: Page, address: str, tmp_path: Path) -> None:
    """The server has made the page anew, and the browser still has the one before."""
    lags = False
    late: list[bytes] = []
    sockets: list[WebSocketRoute] = []

    def between(socket: WebSocketRoute) -> None:
        def arrived(message: str | bytes) -> None:
            assert isinstance(message, bytes)
            if lags:
                late.append(message)
            else:
                socket.send(message)

        sockets.append(socket)
        socket.connect_to_server().on_message(arrived)

    def made_anew() -> bool:
        page.wait_for_timeout(50)  # messages are taken meanwhile
        rejected = [number for number, message in enumerate(late) if b"6 rejected" in message]
        kinds = [ForwardMsg.FromString(message).WhichOneof("type") for message in late]
        return bool(rejected) and "script_finished" in kinds[rejected[0] :]

    page.route_web_socket("**/_stcore/stream", between)
    page.goto(address)
    page.get_by_role("button", name="Accept all 6").click()
    excel = page.get_by_role("button", name="Excel")
    expect(excel).to_be_enabled()
    expect(page.get_by_text("6 accepted, 0 rejected")).to_be_visible()
    lags = True
    page.get_by_role("button", name="Reject all 6").click()
    until(made_anew, "the page with six rejected prices", PATIENCE)
    with page.expect_download() as download:
        excel.click()
        for message in late:
            sockets[0].send(message)
        lags = False
    file = tmp_path / "prices.xlsx"
    download.value.save_as(file)
    rows = list(openpyxl.load_workbook(file).active.iter_rows(values_only=True))
    assert [row[0] for row in rows] == ["decision", *["rejected"] * 6]


def test_a_product_and_a_what_if(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}/product?category={SOUP}&product=tomato")
    expect(page.locator(".name")).to_have_text("tomato Description of tomato")
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(4)
    screenshot(page, "product", tmp_path)
    assert fits(page)
    expect(page.get_by_role("heading", name="Prices by zone")).to_be_visible()
    expect(page.get_by_text("Something unseen would have to explain")).to_be_visible()
    page.get_by_role("button", name="What if its price changes?").click()
    page.get_by_role("radio", name="its substitutes").click()
    slider = page.get_by_role("slider", name="all prices")
    slider.press("ArrowRight")
    units = page.get_by_test_id("stMetric").filter(has_text="units a week")
    expect(units).to_contain_text("(-")
    expect(page.get_by_text("90%:")).to_have_count(3)
    screenshot(page, "what_if", tmp_path)
    assert fits(page)
    page.goto(f"{address}/tests")
    expect(page.locator(".answer")).to_contain_text("4 prices are worth a test")
    screenshot(page, "tests", tmp_path)
    assert fits(page)


@pytest.mark.parametrize("page", [1400], indirect=True)
@pytest.mark.parametrize("code", [IMAGE, HTML, MARKDOWN], ids=["image", "html", "markdown"])
def test_texts_that_mean_harm_are_shown_as_they_are(
    page: Page, address: str, code: str, tmp_path: Path
) -> None:
    query = f"category={quote(HOSTILE, safe='')}&product={quote(code, safe='')}"
    for view in ("product", "what_if"):
        page.goto(f"{address}/{view}?{query}")
        expect(page.locator(".name")).to_contain_text(code)
        if view == "what_if":
            page.get_by_role("radio", name="its category").click()
            expect(page.get_by_role("slider")).to_have_count(5)
        assert page.locator("img").count() == 0
        assert page.locator(".stMain a, .stMain b, .stMain strong, .stMain .katex").count() == 0
    screenshot(page, "harm", tmp_path)
    page.goto(address)
    expect(page.locator(".answer")).to_be_visible()
    page.get_by_role("button", name="more filters").click()
    expect(page.get_by_text(ATTRIBUTE)).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="category").click()
    page.get_by_role("option").filter(has_text="tea").click()
    expect(page.locator(".answer")).to_contain_text("Raise 2 prices")
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("page", [1400], indirect=True)
def test_a_refit_shows_while_the_page_is_open(page: Page, address: str, folder: Path) -> None:
    page.goto(address)
    shown = page.locator(".quiet").filter(has_text="Refit refit-")
    expect(shown).to_be_visible()
    number = int(shown.inner_text().split()[1].removeprefix("refit-")) + 1
    publish_prices(folder, number)
    expect(page.get_by_text(f"Refit refit-{number} of")).to_be_visible()
