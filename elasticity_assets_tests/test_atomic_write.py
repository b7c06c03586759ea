import os
from pathlib import Path

import pytest

from elasticity_assets.atomic_write import atomic_write, remove_unfinished

pytestmark = pytest.mark.quick


def test_the_target_is_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with atomic_write(target) as beside:
        beside.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(TypeError), atomic_write(target) as beside:
        beside.write_bytes(0.5)
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_only_what_it_left_unfinished_is_removed_and_what_is_young_only_where_nobody_is_at_work(
    tmp_path: Path,
) -> None:
    others = [tmp_path / name for name in ("file.txt", ".file.txt.tmp", f".other.txt.{'0' * 32}.tmp")]
    young, old = (tmp_path / f".file.txt.{digit * 32}.tmp" for digit in "ab")
    for file in (*others, young, old):
        file.touch()
    os.utime(old, (0, 0))
    remove_unfinished(tmp_path, "file.txt", older_than=3600)
    assert young.exists()
    assert not old.exists()
    remove_unfinished(tmp_path, "file.txt")
    assert not young.exists()
    assert all(file.exists() for file in others)
