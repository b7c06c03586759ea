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
