"""Refits killed at random moments: the published file stays whole, and the next refit gives the same numbers."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml

from elasticity_assets_tests.support.projects import settings_dict, simulated_sales
from elasticity_assets_tests.torture.outcomes import assert_same, leftovers, published

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "from elasticity_assets.command.cli import main; main()", "refit", "--full"]


def environment(folder: Path) -> dict[str, str]:
    environment = os.environ | {"ELASTICITY_CONFIG": str(folder / "elasticity.yaml")}
    environment.pop("DAGSTER_HOME", None)
    return environment


def refit(folder: Path) -> float:
    """Refit undisturbed; return how many seconds it took."""
    began = time.monotonic()
    done = subprocess.run(
        COMMAND, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def kill_refit(folder: Path, seconds: float) -> str:
    """Kill a refit after some seconds; name the last step that it had finished."""
    with (folder / "stages.txt").open("w+") as stages:
        run = subprocess.Popen(
            COMMAND,
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=stages,
            start_new_session=True,
        )
        try:
            run.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
        stages.seek(0)
        lines = [line.split()[0] for line in stages.read().splitlines() if line.endswith(" s")]
    return lines[-1] if lines else "start"


def test_killed_refits_leave_whole_files_and_the_same_numbers(tmp_path: Path, at_length: bool) -> None:
    kills, undisturbed_after = (100, 10) if at_length else (4, 4)
    chance = random.Random(20260105)
    (tmp_path / "elasticity.yaml").write_text(yaml.safe_dump(settings_dict()))
    (tmp_path / "sales").mkdir()
    sales = simulated_sales()
    weeks = sales["week"].unique()
    sales[sales["week"].isin(weeks[:-2])].to_csv(tmp_path / "sales/1.csv", index=False)
    refit(tmp_path)  # compiles
    last = sales[sales["week"].isin(weeks[-2:])]
    last.to_csv(tmp_path / "sales/2.csv", index=False)
    seconds = refit(tmp_path)
    wanted = published(tmp_path)
    stages: Counter[str] = Counter()
    for number in range(1, kills + 1):
        # The file changes, so that it is taken in anew, and the row without a product changes no elasticity.
        bad = last.head(number % 3).assign(product=None)
        pd.concat([last, bad]).to_csv(tmp_path / "sales/2.csv", index=False)
        stages[kill_refit(tmp_path, chance.uniform(0.2 * seconds, 1.02 * seconds))] += 1
        assert_same(published(tmp_path), wanted)
        assert len(leftovers(tmp_path)) <= 6, "they pile up"
        if number % undisturbed_after == 0:
            seconds = refit(tmp_path)
            assert_same(published(tmp_path), wanted)
            assert leftovers(tmp_path) == []
    print(f"{kills} kills, after these steps: {dict(stages)}")
    if at_length:
        assert len(stages) >= 6, "kills came in all stages"
