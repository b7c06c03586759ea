"""Two projects with one DAGSTER_HOME, at the same time, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from elasticity_assets_tests.support.projects import CATEGORIES, make_project, simulated_sales

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "from elasticity_assets.command.cli import main; main()", "refit"]


def start(folder: Path, home: Path) -> subprocess.Popen[str]:
    environment = os.environ | {
        "ELASTICITY_CONFIG": str(folder / "elasticity.yaml"),
        "DAGSTER_HOME": str(home),
    }
    return subprocess.Popen(
        COMMAND, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def test_one_project_ingests_in_the_middle_of_the_others_refit(tmp_path: Path) -> None:
    sales = simulated_sales()
    one = make_project(tmp_path / "one", sales)
    other = make_project(tmp_path / "other", sales[sales["category"] == CATEGORIES[0]])
    with start(one.folder, tmp_path / "home") as refit:
        said = []
        for line in refit.stderr or ():
            said.append(line)
            if line.startswith("weekly_sales"):
                with start(other.folder, tmp_path / "home") as second:
                    _, errors = second.communicate(timeout=300)
                assert second.returncode == 0, errors
        assert refit.wait(timeout=300) == 0, said
    assert set(one.published("category_elasticity")["category"]) == set(CATEGORIES)
    assert list(other.published("category_elasticity")["category"]) == [CATEGORIES[0]]
