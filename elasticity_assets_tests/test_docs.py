"""The documents: their queries run, their links lead somewhere, their pictures are of the package as it stands."""

import dataclasses
import html
import re
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from elasticity_assets.inference.options import FitOptions
from elasticity_assets.published.publish import publish
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.small_warehouse import CONTROLS, fill, refit
from elasticity_assets_tests.test_imports import LAYERS, PACKAGE, imported, room

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def fenced(language: str, documents: Sequence[Path] = DOCUMENTS) -> list[Any]:
    """All blocks of the documents in one language, as parameters."""
    return [
        pytest.param(block, id=f"{document.parent.name}-{document.stem}-{number}")
        for document in documents
        for number, block in enumerate(
            re.findall(rf"```{language}\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL), 1
        )
    ]


def anchors(document: Path) -> set[str]:
    """What can stand after # in a link to a document: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def links(document: Path) -> list[tuple[Path, str]]:
    """All links to files and headings of the project: the file, and what stands after #."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text)
    inside = [(path, anchor) for path, anchor in found if "://" not in path]
    return [((document.parent / path).resolve() if path else document, anchor) for path, anchor in inside]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/elasticity.duckdb of two refits."""
    folder = tmp_path_factory.mktemp("project")
    warehouse = Warehouse(path=str(folder / "data" / "warehouse.duckdb"))
    for number in (1, 2):
        fill(warehouse, shift=-0.1 * number, catalogue={"soup": ["914190", "2"], "tea": ["3"]})
        this = refit(number, catalogue={"soup": ["914190", "2"], "tea": ["3"]})
        publish(warehouse, folder / "data" / "elasticity.duckdb", this, controls=CONTROLS)
    return folder


# Those of the tutorial need its own tables: test_tutorial.py.
@pytest.mark.parametrize(
    "query", fenced("sql", [document for document in DOCUMENTS if document.stem != "tutorial"])
)
def test_a_documents_query_runs(project, monkeypatch, query):
    monkeypatch.chdir(project)
    attaches = query.startswith("ATTACH")
    with (
        duckdb.connect()
        if attaches
        else duckdb.connect("data/elasticity.duckdb", read_only=True) as connection
    ):
        names = [column[0] for column in connection.execute(query).description]
    assert len(names) > 1


def test_there_are_queries():
    assert len(fenced("sql")) > 15


@pytest.mark.parametrize("block", fenced("python", [ROOT / "docs" / "connect.md"]))
def test_a_documents_python_runs(project, monkeypatch, block):
    monkeypatch.chdir(project)
    frames = {}
    exec(block, frames)
    assert any(len(value) for name, value in frames.items() if isinstance(value, pd.DataFrame))


@pytest.mark.parametrize("document", PAGES, ids=lambda document: f"{document.parent.name}-{document.stem}")
def test_a_documents_links_lead_somewhere(document):
    astray = [
        f"{path.name}#{anchor}"
        for path, anchor in links(document)
        if not path.exists() or (anchor and anchor not in anchors(path))
    ]
    assert astray == []


def test_the_index_has_every_document():
    index = ROOT / "docs" / "README.md"
    assert {path for path, _ in links(index)} >= set((ROOT / "docs").glob("*.md")) - {index}
    assert index in {path for path, _ in links(ROOT / "README.md")}


def test_every_picture_is_shown():
    shown = {path for document in PAGES for path, _ in links(document)}
    assert set((ROOT / "docs" / "images").iterdir()) <= shown


@pytest.fixture(scope="module")
def pictures() -> dict[str, Any]:
    """What docs/make_pictures.py draws, without drawing."""
    return runpy.run_path(str(ROOT / "docs" / "make_pictures.py"))


def test_the_picture_of_the_layers_has_every_room_once_and_in_order(pictures):
    drawn = [name for _, rooms in pictures["LAYERS"] for name in rooms]
    found = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert sorted(drawn) == sorted(found - {"__init__"}) == sorted(LAYERS)
    for number, name in enumerate(drawn):
        files = list((PACKAGE / name).rglob("*.py")) or [PACKAGE / f"{name}.py"]
        above = set(drawn[:number])
        assert not {room(module) for file in files for module in imported(file)} & above, name


def test_architecture_names_every_room_and_no_other():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text[text.index("| room |") : text.index("### Inside")]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [
        name
        for _, rooms in runpy.run_path(str(ROOT / "docs" / "make_pictures.py"))["LAYERS"]
        for name in rooms
    ]
    inside = text[text.index("### Inside") : text.index("### Beside")]
    named = set(re.findall(r"`(\w+)/?`", "".join(re.findall(r"^\| (`.*?) \|", inside, re.MULTILINE))))
    modules = {path.stem for path in (PACKAGE / "inference").iterdir() if path.suffix in ("", ".py")}
    assert named == modules - {"__init__", "__pycache__"}


@pytest.mark.parametrize("document", PAGES, ids=lambda document: f"{document.parent.name}-{document.stem}")
def test_a_documents_modules_are_there(document):
    named = re.findall(r"`((?:\w+/)*\w+\.(?:py|sql))`", document.read_text(encoding="utf-8"))
    # Not hidden folders: other tests install packages into the virtual environment meanwhile.
    files = {
        f"/{path.relative_to(ROOT).as_posix()}"
        for kind in ("py", "sql")
        for path in ROOT.glob(f"[!.]*/**/*.{kind}")
    }
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in files)] == []


def test_the_row_on_its_journey_meets_assets_and_modules_that_are_there(pictures):
    assets = "".join(file.read_text(encoding="utf-8") for file in (PACKAGE / "assets").glob("*.py"))
    for asset, module, _ in pictures["JOURNEY"][1:]:
        assert re.search(rf"\b{asset}\b", assets), asset
        assert PACKAGE.joinpath(*module.split(".")).with_suffix(".py").exists(), module


@pytest.mark.parametrize("name", ["layers", "journey"])
def test_a_picture_is_drawn_anew_after_a_change(pictures, name):
    svg = html.unescape((ROOT / "docs" / "images" / f"{name}.svg").read_text(encoding="utf-8"))
    if name == "layers":
        words = [word for title, rooms in pictures["LAYERS"] for word in (title, *rooms, *rooms.values())]
    else:
        words = [word for step in pictures["JOURNEY"] for word in step]
    text = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)).replace("\xa0", " ")
    for word in words:
        assert word in text, f"{word}: run python docs/make_pictures.py"


def test_checks_document_names_every_check_and_its_asset():
    text = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)`(?: \(red\))? \| (\w+) \|", text, re.MULTILINE))
    code = "".join(file.read_text(encoding="utf-8") for file in (PACKAGE / "checks").glob("*.py"))
    specified = set(re.findall(r'AssetCheckSpec\(\s*"(\w+)",\s*asset="(\w+)"', code))
    assert specified <= documented
    others = {name for name, _ in documented - specified}
    assets = "".join(file.read_text(encoding="utf-8") for file in (PACKAGE / "assets").glob("*.py"))
    assert all(re.search(rf"\b{name}\b", code + assets) for name in others)
    assert len(specified) > 20


@pytest.mark.parametrize("engine", ["natural_gradient", "svi", "nuts"])
def test_settings_document_names_every_option_and_its_default(engine):
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    documented = dict(re.findall(rf"\| `fit\.{engine}\.(\w+)` \| ([^|]+) \|", text))
    options = dataclasses.asdict(getattr(FitOptions(), engine))
    assert set(documented) == set(options)
    for name, default in options.items():
        if default is not None:  # else in words
            assert documented[name].strip("`") == str(default), name
