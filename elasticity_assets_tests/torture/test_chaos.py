"""Harm of all kinds, drawn at random: the next refit publishes the same numbers, or one line says what to do."""

import os
import random
import re
import shutil
import subprocess
import sys
import textwrap
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import yaml

from elasticity_assets.published.integrity import what_was_changed, write_ahead_log
from elasticity_assets.warehouse.kept import file_hash
from elasticity_assets_tests.support.commands import Command
from elasticity_assets_tests.support.projects import settings_dict, simulated_sales
from elasticity_assets_tests.torture.files import HARMS, KINDS, files_by_kind
from elasticity_assets_tests.torture.outcomes import assert_same, leftovers, published

pytestmark = pytest.mark.slow

SEED = 20260105
SECONDS = 3600  # after which a command hangs, on the slowest machine
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)  # of Debian's package faketime
JUMPS = ["+400d", "-400d", "+3h", "-3h", "+40d", "-8d"]
WRITER = textwrap.dedent("""
    import sys, duckdb
    connection = duckdb.connect(sys.argv[1])
    print("opened", flush=True)
    sys.stdin.readline()
    connection.execute("DELETE FROM product_elasticity")
    print("written", flush=True)
    sys.stdin.readline()
""")
ON_THE_WAY = re.compile(
    r"[a-z_]+ +\d+\.\d s"  # a step that ended
    r"|.*; it is removed, and made again"
    r"|`elasticity status` will not show this run's checks: .*"
    r"|no copy of .* could be made, the last one stays: .*"
    r"|compiled programs are not kept: .*"
    r"|old runs could not be deleted: .*"
    r"|.* is at work on it; waiting until that run ends"
)


@dataclass
class HarmedProject:
    """A project in a folder, and what every refit of it must publish.

    Attributes
    ----------
    folder : Path
        A file system of its own, where the test may mount one.
    mounted : bool
    chance : Random
    wanted : dict of str to DataFrame
        The published tables that every refit must repeat.
    lines : Counter of str
        What the command said where it failed, without the names of files.
    """

    folder: Path
    mounted: bool
    chance: random.Random
    wanted: dict[str, pd.DataFrame] = field(default_factory=dict)
    lines: Counter[str] = field(default_factory=Counter)
    seconds: float = 20.0
    bad_rows: int = 0

    @property
    def published(self) -> Path:
        return self.folder / "data/elasticity.duckdb"

    @property
    def warehouse(self) -> Path:
        return self.folder / "data/warehouse.duckdb"

    def start(self, *arguments: str, **environment: str) -> "Command":
        return Command(self.folder, arguments, environment)

    def end(self, command: "Command") -> str | None:
        """Wait until a command ends; the line that it says where it ends badly, else None."""
        code = command.wait(SECONDS)
        output, errors = command.output, command.errors
        assert code is not None, f"still under way: {errors}"
        assert "Traceback" not in output + errors, errors
        said = [line for line in errors.splitlines() if not ON_THE_WAY.fullmatch(line)]
        if code == 0:
            assert said == [], "it ended well, and said something else"
            return None
        assert len(said) == 1, f"not one line: {errors}"
        self.lines[re.sub(r"\S*[/0-9]\S*", "…", said[0])] += 1
        return said[0]

    def run(self, *arguments: str, **environment: str) -> str | None:
        return self.end(self.start(*arguments, **environment))

    def deliver(self) -> None:
        """Change the sales files, so that they are taken in, but by rows that count for nothing."""
        self.bad_rows = self.bad_rows % 3 + 1
        sales = simulated_sales()
        bad = sales.head(self.bad_rows).assign(product=None)
        pd.concat([sales, bad]).to_csv(self.folder / "sales/sales.csv", index=False)

    def refits(self) -> set[str]:
        """Refits that the published file has in its history."""
        with duckdb.connect(str(self.published), read_only=True) as connection:
            return {refit_id for (refit_id,) in connection.execute("SELECT refit_id FROM refits").fetchall()}

    def check_published(self) -> None:
        """The published file opens, and is exactly what one refit published."""
        assert_same(published(self.folder), self.wanted)
        assert not write_ahead_log(self.published).exists()

    def check_hash(self) -> None:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            assert what_was_changed(self.published, connection) is None
            hashes = connection.execute("SELECT file_hash FROM refits").fetchall()
        assert (file_hash(self.published),) in hashes


Step = Callable[[HarmedProject], None]
"""Does harm, and checks what must be true before the next refit."""


def kill_a_refit(project: HarmedProject) -> None:
    project.deliver()
    process = project.start("refit", *project.chance.choice([[], ["--full"]]))
    process.wait(project.chance.uniform(0, 1.05 * project.seconds))
    process.kill()
    project.check_published()


def fill_the_disk(project: HarmedProject) -> None:
    """Leave some kilobytes, or some megabytes: a refit needs more, now and then less."""
    project.deliver()
    used = shutil.disk_usage(project.folder).used
    left = int(10 ** project.chance.uniform(3.7, 7.2))
    resize(project.folder, used + left)
    try:
        line = project.run("refit", *project.chance.choice([[], ["--full"]]))
    finally:
        resize(project.folder, MOUNTED_BYTES)
    if line:
        assert re.search("disk is full|No space left|not enough|Could not write", line), line
    project.check_published()
    project.check_hash()


def damage(kind: str, harm: Callable[[Path, random.Random], None], project: HarmedProject) -> None:
    files = files_by_kind(project.folder)
    if kind in files:
        file = project.chance.choice(files[kind])
        print(f"    {file.relative_to(project.folder)} {harm.__name__}")
        harm(file, project.chance)
    if kind != "published file":
        project.check_published()
    if line := project.run("status"):
        assert re.search(r"`.+`|move .* away|remove it|delete it|publishes it anew|try again", line), line


def refit_twice_more(project: HarmedProject) -> None:
    project.deliver()
    processes = [project.start("refit") for _ in range(2)]
    assert [project.end(process) for process in processes] == [None, None]
    project.check_published()
    project.check_hash()


def roll_back(project: HarmedProject) -> None:
    kept = [file.stem for file in sorted((project.folder / "data/elasticity.refits").glob("*.duckdb"))]
    if not kept:
        return
    refit_id = project.chance.choice(kept)
    if line := project.run("rollback", refit_id):
        assert re.search("choose another refit|no tables of refit", line), line
    else:
        with duckdb.connect(str(project.published), read_only=True) as connection:
            (last,) = connection.execute("SELECT arg_max(refit_id, number) FROM refits").fetchone()
        assert last == refit_id
    project.check_published()
    project.check_hash()


def write_as_a_reader(project: HarmedProject) -> None:
    project.published.chmod(0o644)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(project.published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout.readline() == "opened\n"
        if project.chance.random() < 0.5:
            assert project.run("refit") is None
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "written\n"
        if project.chance.random() < 0.5:
            writer.kill()
        else:
            writer.communicate("\n")
    with duckdb.connect(str(project.warehouse), read_only=True) as connection:
        if what_was_changed(project.published, connection) is None:
            return  # who had the old file open wrote to that
    line = project.run("status")
    assert line
    assert "do not trust its numbers; `elasticity refit` publishes them anew" in line


def let_the_clock_jump(project: HarmedProject) -> None:
    """The clock is wrong from the beginning, or jumps while a refit is under way."""
    clock = project.folder.parent / "clock"
    first, then = project.chance.choice(["+0", *JUMPS]), project.chance.choice(JUMPS)
    clock.write_text(first)
    project.deliver()
    process = project.start(
        "refit",
        LD_PRELOAD=str(FAKETIME),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    time.sleep(project.chance.uniform(0, project.seconds))
    aside = clock.with_name("then")
    aside.write_text(then)
    aside.replace(clock)
    print(f"    {first}, then {then}")
    if line := project.end(process):
        print(f"    {line}")
    project.check_published()
    project.check_hash()


MOUNTED_BYTES = 3 * 2**30


def resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def follow(line: str, project: HarmedProject) -> None:
    """Do what a line says, as a person would."""
    place = project.folder.parent / f"away-{time.monotonic_ns()}"
    if command := re.search(r"`((?:rm|cp) [^`]+)`", line):
        subprocess.run(command[1], shell=True, check=True)
    elif moved := re.search(r"move (\S+) away", line):
        shutil.move(moved[1], place)
    elif re.search("move it away|remove it|delete it", line):
        shutil.move(re.match(r"[^:\s]+", line)[0], place)
    else:
        assert re.search(r"run `?elasticity refit|try again|run again", line), f"says not what to do: {line}"


def deck(chance: random.Random, n_steps: int, mounted: bool) -> list[tuple[str, Step]]:
    """As many steps as are wanted, in an order of chance; of few, one of each sort first."""
    harms: list[tuple[str, Step]] = [
        (f"{kind}: {harm.__name__}", partial(damage, kind, harm)) for kind in KINDS for harm in HARMS
    ]
    chance.shuffle(harms)
    others: list[Step] = [kill_a_refit, refit_twice_more, roll_back, write_as_a_reader]
    others += [fill_the_disk] if mounted else []
    others += [let_the_clock_jump] if FAKETIME else []
    named: list[tuple[str, Step]] = [(step.__name__, step) for step in others]
    n_harms = max(0, min(len(harms), n_steps - len(named)))
    left = max(0, n_steps - n_harms - len(named))
    weights = [3 if step in (kill_a_refit, fill_the_disk) else 1 for step in others]
    steps = [*named, *harms[:n_harms], *chance.choices(named, weights, k=left)]
    chance.shuffle(steps)
    return steps[:n_steps]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, bool]]:
    """A folder, and whether it is a file system of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MOUNTED_BYTES}", "tmpfs", str(folder)]
    mounted = os.getuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    yield folder, mounted
    if mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.usefixtures("commands_as_users_start_them")
def test_whatever_happens_nothing_is_lost_and_nothing_is_blocked(
    place: tuple[Path, bool], at_length: bool
) -> None:
    folder, mounted = place
    if at_length:  # no harm is left out in silence
        assert mounted, "to fill a disk a file system must be mounted: run as root, with leave to mount"
        assert FAKETIME, "to let the clock jump Debian's package faketime must be installed"
    seed = int(os.environ.get("CHAOS_SEED", SEED))
    n_steps = int(os.environ.get("CHAOS_STEPS", "300" if at_length else "9"))
    chance = random.Random(seed)
    project = HarmedProject(folder, mounted, chance)
    (folder / "elasticity.yaml").write_text(yaml.safe_dump({**settings_dict(), "keep": 3}))
    (folder / "sales").mkdir()
    project.deliver()
    assert project.run("refit") is None
    assert project.run("status") is None
    project.wanted = published(folder)
    assert set(files_by_kind(folder)) == set(KINDS), "a kind that no refit leaves is damaged never"
    whole = shutil.copytree(folder, folder.parent / "whole")
    steps = deck(chance, n_steps, mounted)
    print(f"seed {seed}: {Counter(name.partition(':')[0] for name, _ in steps)}")
    problems = []
    for number, (name, step) in enumerate(steps, 1):
        print(f"{number} {name}", flush=True)
        try:
            harm_and_refit(project, step)
        except Exception as error:  # all problems of a long run are told, and not the first alone
            problems.append(f"{number} {name}: {type(error).__name__}: {error}")
            print(f"    {traceback.format_exc()}", flush=True)
            shutil.copytree(folder, folder.parent / f"problem-{number}")
            for found in folder.iterdir():
                shutil.rmtree(found) if found.is_dir() else found.unlink()
            shutil.copytree(whole, folder, dirs_exist_ok=True)
    for line, count in project.lines.most_common():
        print(f"{count:4} {line}")
    assert problems == []


def harm_and_refit(project: HarmedProject, step: Step) -> None:
    """Do one step; then the next refit, or the one after what its line says was done, leaves all as it should be."""
    known = project.refits()
    step(project)
    began = time.monotonic()
    line = project.run("refit")
    if line:
        print(f"    {line}")
        follow(line, project)
        assert project.run("refit") is None
    else:
        project.seconds = time.monotonic() - began
    project.check_published()
    project.check_hash()
    if left := project.run("status"):  # the events of an earlier run, which no refit reads
        print(f"    {left}")
        follow(left, project)
        assert project.run("status") is None
    assert known < project.refits() or (line and "lost are" in line)
    assert leftovers(project.folder) == []
