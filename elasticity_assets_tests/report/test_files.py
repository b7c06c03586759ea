import os
import uuid
from pathlib import Path

import pytest

from elasticity_assets.report.files import LATEST, show_again, write_report

pytestmark = pytest.mark.quick


def test_the_last_reports_stay_and_other_files_too(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    ids = [str(uuid.uuid4()) for _ in range(4)]
    folder.mkdir()
    (folder / "mine.html").write_text("kept")
    for number in range(4):
        file = write_report(f"page {number} 🧀", folder, ids[: number + 1], keep=2)
        os.utime(file, (100 - number, 100 - number))  # a clock that goes back
    assert {file.name for file in folder.iterdir()} == {
        f"{ids[2]}.html",
        f"{ids[3]}.html",
        LATEST,
        "mine.html",
    }
    assert (folder / LATEST).read_text(encoding="utf-8") == "page 3 🧀"


def test_writing_a_report_again_replaces_it(tmp_path: Path) -> None:
    refit_id = str(uuid.uuid4())
    write_report("one", tmp_path, [refit_id], keep=1)
    assert write_report("two", tmp_path, [refit_id], keep=1).read_text() == "two"
    assert len(list(tmp_path.iterdir())) == 2


def test_nobody_may_write_to_a_page(tmp_path: Path) -> None:
    page = write_report("page", tmp_path, ["1" * 8], keep=2, mode=0o440)
    assert {file.stat().st_mode & 0o777 for file in (page, tmp_path / "latest.html")} == {0o440}


def test_a_damaged_page_is_shown_again_as_it_is(tmp_path: Path) -> None:
    refit_id = str(uuid.uuid4())
    page = write_report("page", tmp_path, [refit_id], keep=1, mode=0o444)
    page.chmod(0o644)
    page.write_bytes(b"\xff\xfe")
    assert show_again(tmp_path, refit_id)
    assert (tmp_path / LATEST).read_bytes() == b"\xff\xfe"
