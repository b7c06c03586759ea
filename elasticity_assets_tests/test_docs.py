"""Every query of the documents runs on a published file."""

import dataclasses
import re
from pathlib import Path

import duckdb
import pytest

from elasticity_assets.inference.options import FitOptions
from elasticity_assets.published.publish import publish
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.small_warehouse import CONTROLS, fill, refit

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
QUERIES = [
    pytest.param(query, id=f"{document.stem}-{number}")
    for document in DOCUMENTS
    for number, query in enumerate(
        re.findall(r"```sql\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL), 1
    )
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/elasticity.duckdb of two refits."""
    folder = tmp_path_factory.mktemp("project")
    warehouse = Warehouse(path=str(folder / "data" / "warehouse.duckdb"))
    for number in (1, 2):
        fill(warehouse, shift=-0.1 * number, catalogue={"soup": ["1022003", "2"], "tea": ["3"]})
        this = refit(number, catalogue={"soup": ["1022003", "2"], "tea": ["3"]})
        publish(warehouse, folder / "data" / "elasticity.duckdb", this, controls=CONTROLS)
    return folder


@pytest.mark.parametrize("query", QUERIES)
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
    assert len(QUERIES) > 10


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda document: document.name
)
def test_a_documents_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("engine", ["natural_gradient", "svi", "nuts"])
def test_settings_document_names_every_option_and_its_default(engine):
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    documented = dict(re.findall(rf"\| `fit\.{engine}\.(\w+)` \| ([^|]+) \|", text))
    options = dataclasses.asdict(getattr(FitOptions(), engine))
    assert set(documented) == set(options)
    for name, default in options.items():
        if default is not None:  # else in words
            assert documented[name].strip("`") == str(default), name
