"""Results of price tests elsewhere, from a file: understood, or refused in one line that says what to do."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from elasticity_assets.fitting.packing import content_hash, pack
from elasticity_assets.inference.experiments import Experiment
from elasticity_assets.ingestion.experiments import products_tested, read_experiments
from elasticity_assets.ingestion.panels import category_panels
from elasticity_assets.settings import FitSettings, SalesSettings, SettingsError, settings_of
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.projects import settings_dict
from elasticity_assets_tests.support.sales_files import ingest, sales_settings, write_lines

pytestmark = pytest.mark.quick


@pytest.fixture
def sales(tmp_path: Path) -> SalesSettings:
    lines = [
        f"{category},{product},2024-01-{1 + 7 * week:02},{3 + week},{1 + week / 10}"
        for category, product in (("soup", "a"), ("soup", "b"), ("tea", "c"))
        for week in range(4)
    ]
    path = write_lines(tmp_path / "sales.csv", *lines, header="category,product,date,units,price")
    return sales_settings(path, {"category": "category"})


@pytest.fixture
def connection(warehouse_file: Warehouse, sales: SalesSettings) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse_file.write() as connection:
        ingest(connection, sales)
        yield connection


@pytest.mark.parametrize(
    "text",
    [
        "category,product,elasticity,sd\nsoup,a,-1.8,0.3\n\nsoup,,-1.5,0.2\n",
        "\ufeffSD;Elasticity;note;Product;Category\r\n0,3;\u22121,8;one;a;soup\r\n0,2;-1,5;two;;soup\r\n",
    ],
    ids=["plain", "of a spreadsheet"],
)
def test_results_are_read(connection, sales: SalesSettings, tmp_path: Path, text: str) -> None:
    (tmp_path / "tests.csv").write_bytes(text.encode())
    assert read_experiments(connection, tmp_path / "tests.csv", sales) == {
        "soup": [Experiment("a", -1.8, 0.3), Experiment("", -1.5, 0.2)]
    }


@pytest.mark.parametrize(("sd", "tested"), [("0.5", {"a"}), ("3", set())])
def test_a_product_is_tested_where_the_result_tells_enough(
    connection, sales: SalesSettings, tmp_path: Path, sd: str, tested: set[str]
) -> None:
    file = tmp_path / "tests.csv"
    file.write_text(f"category,product,elasticity,sd\nsoup,a,-1.8,{sd}\nsoup,,-1.5,0.1\n")
    assert products_tested(connection, file, sales) == tested
    assert products_tested(connection, None, sales) == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: no column 'category'; write the header category,product,elasticity,sd and lines such as"),
        ("category,product,elasticity\n", "line 1: no column 'sd'"),
        ("category,product,elasticity,sd,sd\n", "line 1: more than one column 'sd'"),
        ("category,product,elasticity,sd\nsoup,,low,1\n", "line 2: elasticity 'low' is no number from -100 to 100"),
        ("category,product,elasticity,sd\nsoup,,-1,\n", "line 2: sd '' is no number from 0.001 to 100; write one such"),
        ("category,product,elasticity,sd\n\nsoup,,-1,0\n", "line 3: sd '0' is no number"),
        ("category,product,elasticity,sd\nsoup\n", "line 2: elasticity '' is no number"),
        ("category,product,elasticity,sd\nsoup,,-1,8,0,3\n", "line 2: 6 fields under a header of 4, the last '3'; w"),
        ("category,product,elasticity,sd\nsoup,,-1_8,1\n", "line 2: elasticity '-1_8' is no number"),
        ("category,product,elasticity,sd\nsoup,,\u0661,1\n", "line 2: elasticity '\u0661' is no number"),
        ('category,product,elasticity,sd\nsoup,"a,-1,1\n', "line 2: unexpected end of data; write a line such as soup"),
        ("category,product,elasticity,sd\nSoups,,-1,1\n", "line 2: category 'Soups' has no sales; write it as in"),
        ("category,product,elasticity,sd\nsoup,x,-1,1\n", "line 2: product 'x' has no sales; write product and"),
        ("category,product,elasticity,sd\nsoup,c,-1,1\n", "line 2: product 'c' is in category 'tea'; write product"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(
    connection, sales: SalesSettings, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "tests.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        read_experiments(connection, file, sales)
    assert str(error.value).startswith(f"experiments: {file}, {said}")
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_elsewhere_is_told(connection, sales, tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"none.csv cannot be read: No such file .*; name a CSV file with"
    ):
        read_experiments(connection, tmp_path / "none.csv", sales)
    elsewhere = sales.model_copy(update={"roots": [str(tmp_path / "here")]})
    with pytest.raises(SettingsError, match=r"experiments: .* lies outside of the settings file's folder"):
        read_experiments(connection, tmp_path / "none.csv", elsewhere)


def test_a_changed_file_changes_the_categories_that_it_concerns(
    connection, sales: SalesSettings, tmp_path: Path
) -> None:
    def hashes(*lines: str) -> list[str]:
        file = write_lines(tmp_path / "tests.csv", *lines, header="category,product,elasticity,sd")
        found = category_panels(connection, sales, FitSettings(), ["soup", "tea"], file)
        return [content_hash(pack(panels.panel)) for panels in found]

    without = [
        content_hash(pack(panels.panel))
        for panels in category_panels(connection, sales, FitSettings(), ["soup", "tea"])
    ]
    assert hashes() == without
    first, changed = hashes("soup,a,-1.8,0.3"), hashes("soup,a,-1.8,0.2")
    assert len({first[0], changed[0], without[0]}) == 3
    assert first[1] == changed[1] == without[1]


def test_their_file_lies_beside_the_settings_and_svi_takes_none(tmp_path: Path) -> None:
    content = settings_dict() | {"experiments": "tests.csv"}
    assert settings_of(content, tmp_path, "here").experiments == tmp_path / "tests.csv"
    for fit in ({"engine": "svi"}, {"preset": "article"}):
        with pytest.raises(
            SettingsError, match="experiments: the engine svi takes no results from elsewhere; set"
        ):
            settings_of(content | {"fit": fit}, tmp_path, "here")
