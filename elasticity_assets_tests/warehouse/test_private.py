"""What DuckDB makes by itself is its owner's alone, too."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from elasticity_assets.published import publish as module
from elasticity_assets.published.publish import publish
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.private import PRIVATE
from elasticity_assets_tests.support.small_warehouse import CONTROLS, fill, refit

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    assert os.umask(before) == 0o022, "as it was"


def modes(folder: Path) -> dict[str, str]:
    return {file.name: oct(file.stat().st_mode & 0o777) for file in folder.rglob("*") if file.is_file()}


def test_the_log_of_a_warehouse(tmp_path: Path) -> None:
    warehouse = Warehouse(path=str(tmp_path / "warehouse.duckdb"))
    with warehouse.write() as connection:
        connection.execute("CREATE TABLE sold AS SELECT range AS units FROM range(100)")
        assert modes(tmp_path) == {"warehouse.duckdb": "0o600", "warehouse.duckdb.wal": "0o600"}


@pytest.mark.parametrize("mode", [0o400, 0o444])
def test_a_published_file_until_it_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    warehouse, published = (
        Warehouse(path=str(tmp_path / "warehouse.duckdb")),
        tmp_path / "out/elasticity.duckdb",
    )
    fill(warehouse)
    seen = {}
    find_problems = module._problems

    def look(new: Path, *rest: object) -> list[str]:
        seen.update(modes(published.parent))
        return find_problems(new, *rest)

    monkeypatch.setattr(module, "_problems", look)
    publish(warehouse, published, refit(1), controls=CONTROLS, mode=mode)
    assert seen == {".elasticity.duckdb.refit-1.tmp": "0o600"}
    assert modes(published.parent)["elasticity.duckdb"] == oct(mode)
    assert published.parent.stat().st_mode & 0o777 == 0o755


def test_threads_that_overlap_leave_the_mode_as_it_was() -> None:
    began, may_end = threading.Event(), threading.Event()

    def first() -> None:
        with PRIVATE:
            began.set()
            may_end.wait(60)

    thread = threading.Thread(target=first)
    thread.start()
    assert began.wait(60)
    with PRIVATE:
        may_end.set()
        thread.join()
        assert os.umask(0o077) == 0o077, "the other thread's end is not this one's"
