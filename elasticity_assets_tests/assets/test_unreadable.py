"""What is stored of one category is damaged, gone or of an earlier version: it fails alone, and says what to do."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from elasticity_assets.automation.partitions import partition_key
from elasticity_assets.fitting.array_store import ArrayStore
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.fit_failures import fit_failures
from elasticity_assets_tests.support.projects import CATEGORIES, Project, checks

FIRST, SECOND = CATEGORIES
INPUT = dg.AssetKey("model_input")


def damaged(store: ArrayStore, file: Path) -> None:
    file.write_bytes(b"half")


def gone(store: ArrayStore, file: Path) -> None:
    file.unlink()


def of_an_earlier_version(store: ArrayStore, file: Path) -> None:
    arrays = dict(store.read(INPUT, partition_key(FIRST)) or {})
    del arrays["panel_hash"]
    store.write(INPUT, arrays, partition_key(FIRST))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (damaged, "cannot be read ("),
        (gone, "materialize model_input first, or run the job refit"),
        (of_an_earlier_version, "materialize model_input first, or run the job refit"),
    ],
)
def test_its_model_input_fails_its_category_alone(
    project: Project, harm: Callable[[ArrayStore, Path], None], told: str
) -> None:
    store = ArrayStore(folder=project.settings.arrays_folder)
    harm(store, Path(str(store._file(INPUT, partition_key(FIRST)))))

    result = project.refit(assets=["category_posterior"], changed_only=False)
    assert result.success
    assert checks(result)["fits_succeeded"].description == f"failed: {FIRST!r}"
    with Warehouse(path=str(project.settings.warehouse)).write() as connection:
        assert told in fit_failures(connection)[FIRST][1]
        connection.execute("DELETE FROM promotion_elasticity")

    result = project.refit(assets=["heldout_evaluation", "split_samples", "promotion_elasticity"])
    assert result.success
    # The first's fit, and what was found of it, stand; the second's is new.
    assert checks(result)["heldout_evaluation_succeeded"].passed
    for file in Path(project.settings.arrays_folder, "heldout_evaluation").iterdir():
        file.unlink()
    result = project.refit(assets=["heldout_evaluation"])
    assert result.success
    assert checks(result)["heldout_evaluation_succeeded"].description == f"not judged: {FIRST!r}"

    result = project.refit()  # lays it out anew
    assert result.success
    assert sorted(project.published("product_elasticity")["category"].unique()) == CATEGORIES


@pytest.mark.parametrize("full", [False, True])
def test_whatever_stored_file_is_damaged_the_refit_makes_it_again(
    project: Project, full: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    files = sorted(Path(project.settings.arrays_folder).rglob("*.npz"))
    assert {file.parent.name for file in files} >= {
        "model_input",
        "category_posterior",
        "heldout_evaluation",
        "split_samples",
        "confounding_tests",
    }
    harmed = [
        file for file in files if file.parent.name == "category_posterior" or file.name.startswith("CH")
    ]
    for number, file in enumerate(harmed):
        content = file.read_bytes()
        third = len(content) // 3
        file.write_bytes([b"half", content[:third] + b"x" * third + content[2 * third :]][number % 2])
    result = project.refit(changed_only=not full)
    assert result.success
    assert sorted(project.published("product_elasticity")["category"].unique()) == CATEGORIES
    told = [entry.user_message for entry in project.instance.all_logs(result.run_id) if entry.level == 30]
    assert all("made again" in line for line in told)
    assert len(told) == 5, told  # two posteriors, and the three kinds of what was found of one
