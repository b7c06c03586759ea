"""Who writes to the published file is found out; who is not root cannot."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest

from elasticity_assets.published.integrity import what_was_changed
from elasticity_assets.published.publish import publish, publish_again
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.both_warehouses import on_both
from elasticity_assets_tests.support.small_warehouse import CONTROLS, fill, refit

# Opens the file for writing, as whoever it is told to be, and writes when it is told.
WRITER = textwrap.dedent("""
    import os, sys, duckdb
    if sys.argv[2] == "nobody":
        os.setgid(65534), os.setuid(65534)
    try:
        connection = duckdb.connect(sys.argv[1])
    except duckdb.Error as error:
        sys.exit(f"refused: {error}")
    print("opened", flush=True)
    sys.stdin.readline()
    connection.execute("DELETE FROM product_elasticity")
    print("written", flush=True)
    sys.stdin.readline()
""")


@pytest.fixture
def published(warehouse: Warehouse, tmp_path: Path) -> Path:
    file = tmp_path / "out" / "elasticity.duckdb"
    fill(warehouse)
    publish(warehouse, file, refit(1), controls=CONTROLS)
    return file


def changed(warehouse: Warehouse, published: Path) -> str | None:
    with warehouse.read() as connection:
        return what_was_changed(published, connection)


def n_products(published: Path) -> int:
    with duckdb.connect(published, read_only=True) as connection:
        return connection.execute("SELECT count(*) FROM product_elasticity").fetchone()[0]


@on_both
def test_a_file_is_as_it_was_published(warehouse: Warehouse, published: Path) -> None:
    assert changed(warehouse, published) is None
    publish(warehouse, published, refit(2), controls=CONTROLS)
    publish_again(warehouse, published, "refit-1")
    assert changed(warehouse, published) is None


def test_what_somebody_writes_who_had_the_old_file_open_is_named_and_goes_with_the_next_refit(
    warehouse_file: Warehouse, tmp_path: Path
) -> None:
    published = tmp_path / "out" / "elasticity.duckdb"
    fill(warehouse_file)
    publish(warehouse_file, published, refit(1), controls=CONTROLS, mode=0o666)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(published), "self"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout.readline() == "opened\n"
        publish(warehouse_file, published, refit(2), controls=CONTROLS)
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "written\n"
        writer.kill()
    assert n_products(published) == 0
    assert "elasticity.duckdb.wal: somebody wrote" in changed(warehouse_file, published)
    publish(warehouse_file, published, refit(3), controls=CONTROLS)
    assert n_products(published) == 5
    assert changed(warehouse_file, published) is None


def test_what_somebody_wrote_into_the_file_is_named(warehouse_file: Warehouse, tmp_path: Path) -> None:
    published = tmp_path / "out" / "elasticity.duckdb"
    fill(warehouse_file)
    publish(warehouse_file, published, refit(1), controls=CONTROLS)
    published.chmod(0o644)
    with duckdb.connect(published) as connection:
        connection.execute("UPDATE product_elasticity SET elasticity = -9")
    assert "is not as refit refit-1 published it" in changed(warehouse_file, published)


def test_who_is_not_root_cannot_open_it_for_writing() -> None:
    with TemporaryDirectory() as folder:  # one that other users may enter
        Path(folder).chmod(0o755)
        published = Path(folder) / "out" / "elasticity.duckdb"
        warehouse = Warehouse(path=f"{folder}/warehouse.duckdb")
        fill(warehouse)
        publish(warehouse, published, refit(1), controls=CONTROLS)
        who = "nobody" if os.getuid() == 0 else "self"
        found = subprocess.run(
            [sys.executable, "-c", WRITER, str(published), who], capture_output=True, text=True, check=False
        )
    assert "refused" in found.stderr
    assert "Permission denied" in found.stderr
