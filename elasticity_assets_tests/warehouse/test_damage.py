"""A damaged warehouse is named, whatever is wrong with it, and the way back that is named leads back."""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from elasticity_assets.published.publish import publish
from elasticity_assets.warehouse.damage import DamagedFileError, last_copy, read_all
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.small_warehouse import CONTROLS, fill, refit


def half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(file.stat().st_size))


def empty(file: Path) -> None:
    os.truncate(file, 0)


def gone(file: Path) -> None:
    file.unlink()


def headers_gone(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(8192))


def every_block(file: Path) -> None:
    with file.open("r+b") as stream:
        for position in range(3 * 4096 + 1000, file.stat().st_size, 256 * 1024):
            stream.seek(position)
            stream.write(b"damaged")


@pytest.fixture
def warehouse(warehouse_file: Warehouse) -> Warehouse:
    fill(warehouse_file)
    publish(warehouse_file, published(warehouse_file), refit(1), controls=CONTROLS)
    return warehouse_file


def published(warehouse: Warehouse) -> Path:
    return Path(warehouse.path).with_name("elasticity.duckdb")


def contents(file: Path) -> list[tuple]:
    with duckdb.connect(file, read_only=True) as connection:
        return connection.execute("FROM product_elasticity ORDER BY ALL").fetchall()


@pytest.mark.parametrize("harm", [half, garbage, empty, gone, headers_gone, every_block])
def test_a_damaged_warehouse_is_named_with_the_way_back(
    warehouse: Warehouse, harm: Callable[[Path], None]
) -> None:
    file = Path(warehouse.path)
    before = contents(file)
    harm(file)
    with pytest.raises(DamagedFileError) as told:
        warehouse.check()
    line = str(told.value)
    assert "\n" not in line
    assert line.startswith(f"{file} is damaged: ")
    command = line.split("`")[1]
    assert command == f"cp {last_copy(file)} {file}"
    subprocess.run(shlex.split(command), check=True)
    assert contents(file) == before
    publish(warehouse, published(warehouse), refit(2), controls=CONTROLS)


def test_one_whose_copy_is_there_is_missed_and_not_begun_anew(warehouse: Warehouse) -> None:
    gone(Path(warehouse.path))
    with pytest.raises(DamagedFileError, match="is not there"), warehouse.read():
        pass
    with pytest.raises(DamagedFileError, match="is not there"), warehouse.write():
        pass
    assert not Path(warehouse.path).exists()


def test_without_a_copy_it_is_made_anew(warehouse: Warehouse) -> None:
    file = Path(warehouse.path)
    last_copy(file).unlink()
    half(file)
    with pytest.raises(DamagedFileError, match="move it away, and it is made anew from the sales files"):
        warehouse.check()


def test_a_write_ahead_log_of_the_damaged_file_goes_before_the_copy_comes(warehouse: Warehouse) -> None:
    file = Path(warehouse.path)
    file.with_name(f"{file.name}.wal").write_bytes(b"")
    half(file)
    with pytest.raises(DamagedFileError, match=f"`rm {file}.wal; cp {last_copy(file)} {file}`"):
        warehouse.check()


def test_damage_is_not_copied(warehouse: Warehouse) -> None:
    file = Path(warehouse.path)
    copied = last_copy(file).read_bytes()
    every_block(file)
    with pytest.raises(DamagedFileError):
        warehouse.keep_copy()
    assert last_copy(file).read_bytes() == copied


def test_a_copy_that_cannot_be_made_fails_no_refit(warehouse: Warehouse) -> None:
    copy = last_copy(Path(warehouse.path))
    copy.unlink()
    copy.mkdir()
    (copy / "something").touch()
    publish(warehouse, published(warehouse), refit(2), controls=CONTROLS)


def test_a_warehouse_that_a_killed_process_had_only_begun_is_made_anew(warehouse_file: Warehouse) -> None:
    Path(warehouse_file.path).touch()
    with warehouse_file.read() as connection:
        read_all(connection)
    assert Path(warehouse_file.path).stat().st_size > 0
