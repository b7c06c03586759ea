"""The command's usage, settings and messages; whole refits are in end_to_end/test_refit.py."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import absl.logging
import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml

from elasticity_assets.command.cli import _with_sales, main
from elasticity_assets.command.past_runs import last_runs
from elasticity_assets.command.status import table_text
from elasticity_assets.inference.departures import DEPARTURES
from elasticity_assets.published.publish import publish
from elasticity_assets.settings import load_settings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.run_lock import run_lock
from elasticity_assets_tests.support.projects import settings_dict, simulated_sales
from elasticity_assets_tests.support.small_warehouse import CONTROLS, fill, refit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ELASTICITY_CONFIG", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


@dataclass(frozen=True)
class Result:
    exit_code: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process."""
    # jax's logger closes its stream when Dagster configures logging, unless that is sys.stderr. Where jax
    # was imported under pytest's capture, the stream is pytest's own.
    monkeypatch.setattr(absl.logging.get_absl_handler().python_handler, "stream", sys.__stderr__)

    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, *capsys.readouterr())

    return run


def write_settings(folder: Path, **changes: object) -> None:
    (folder / "elasticity.yaml").write_text(yaml.safe_dump(settings_dict() | changes))


@pytest.mark.parametrize("command", [["refit"], ["status"]])
def test_without_settings_one_line_says_how_to_get_them(run: Run, folder: Path, command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "elasticity init" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["refit", "--full", "--category", "a"], "--category"),
        (["refit", "--sales", "nowhere/*.csv"], "nowhere"),
        (["refit", "--sales", "/"], "--sales: / is a folder"),
        (["refit", "--sales", "s[1].csv"], "s[1].csv"),
        (
            ["simulate", "--products", "2", "--weeks", "3", "--categories", "3", "--out", "s.csv"],
            "3 categories",
        ),
        (["simulate", "--products", "2", "--weeks", "3", "--categories", "1", "--out", "s.xls"], "s.xls"),
        (["refit", "--nonsense"], "--nonsense"),
        (["simulate"], "--products"),
        (["init", "nowhere.csv"], "nowhere.csv"),
        (["init", "empty.csv"], "empty.csv"),
        (["init", "shop.duckdb"], "shop.duckdb is a database"),
        (
            ["simulate", "--products", "2", "--weeks", "3", "--categories", "1", "--out", "no/where/s.csv"],
            "there is no folder no/where; make it",
        ),
        (["rollback", "no-such-refit"], "REFIT_ID: no tables of refit 'no-such-refit'; none is kept"),
    ],
)
def test_wrong_usage_ends_with_status_2_and_names_the_mistake(
    run: Run, folder: Path, arguments: list[str], word: str
) -> None:
    if arguments[0] == "init":
        (folder / "empty.csv").touch()
        duckdb.connect(folder / "shop.duckdb").close()
    else:
        write_settings(folder)
    result = run(*arguments)
    assert result.exit_code == 2
    assert word in result.stderr


def test_an_unknown_key_is_named(run: Run, folder: Path) -> None:
    write_settings(folder, sails={})
    result = run("refit")
    assert result.exit_code == 2
    assert "unknown key sails" in result.stderr
    assert result.stderr.count("\n") == 1


def test_sales_elsewhere_are_refused_and_nothing_of_them_is_shown(run: Run, folder: Path) -> None:
    for path in ("/etc/passwd", "link.csv"):
        settings = settings_dict()
        settings["sales"]["path"] = path
        write_settings(folder, sales=settings["sales"])
        (folder / "link.csv").unlink(missing_ok=True)
        (folder / "link.csv").symlink_to("/etc/passwd")
        result = run("refit")
        assert result.exit_code == 2
        last = result.stderr.splitlines()[-1]
        assert last.startswith(f"sales.path: {'/etc/passwd' if path == '/etc/passwd' else folder / path}")
        assert last.endswith("allow its folder: sales.roots: ['/etc']")
        shown = result.stdout + result.stderr
        assert not any(line in shown for line in Path("/etc/passwd").read_text().splitlines())


def test_sales_elsewhere_may_be_named_on_the_command_line(folder: Path, tmp_path_factory) -> None:
    write_settings(folder)
    more = tmp_path_factory.mktemp("elsewhere") / "more.csv"
    more.touch()
    assert str(more) in _with_sales(load_settings(), [str(more)]).sales.roots


def test_names_are_shown_cut_and_in_one_line() -> None:
    names = ["A" * 300, "two\nlines", "\x1b[31mred", "milk"]
    lines = table_text(["category", "products"], [[name, 7] for name in names]).splitlines()
    assert len(lines) == 1 + len(names)
    assert all(line.isprintable() and len(line) < 80 for line in lines)
    assert lines[1].startswith("AAA")
    assert "…" in lines[1]


def test_a_column_that_the_files_lack_is_named(run: Run, folder: Path) -> None:
    write_settings(folder)
    (folder / "sales").mkdir()
    simulated_sales().rename(columns={"units": "pieces"}).to_csv(folder / "sales/sales.csv", index=False)
    result = run("refit")
    assert result.exit_code == 2
    assert "units" in result.stderr.splitlines()[-1]
    assert "sales.csv" in result.stderr.splitlines()[-1]


def test_a_file_without_a_usable_row_fails_in_one_line(run: Run, folder: Path) -> None:
    write_settings(folder)
    (folder / "sales").mkdir()
    simulated_sales().assign(price=-1).to_csv(folder / "sales/sales.csv", index=False)
    result = run("refit")
    assert result.exit_code == 1
    assert "sales.csv" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_an_unknown_category_names_the_known_ones(run: Run, folder: Path) -> None:
    write_settings(folder)
    (folder / "sales").mkdir()
    simulated_sales(3).to_csv(folder / "sales/sales.csv", index=False)
    result = run("refit", "--category", "BEER")
    assert result.exit_code == 2
    last = result.stderr.splitlines()[-1]
    assert "BEER" in last
    assert "'CHEESE', " in last


def test_init_writes_settings_that_load_and_never_overwrites_them(run: Run, folder: Path) -> None:
    simulated_sales().to_csv(folder / "sales.csv", index=False)
    result = run("init", "sales.csv")
    assert result.exit_code == 0
    assert "sales.columns.units: units. Its name and its numbers say so" in result.stdout
    assert "Tried on all" in result.stdout
    settings = load_settings(folder / "elasticity.yaml")
    assert settings.sales.columns.category == "category"
    assert [Path(path).name for path in settings.sales.path] == ["sales.csv"]
    before = (folder / "elasticity.yaml").read_bytes()
    again = run("init", "sales.csv")
    assert again.exit_code == 2
    assert again.stderr.count("\n") == 1
    assert (folder / "elasticity.yaml").read_bytes() == before


def test_init_marks_what_it_cannot_tell_and_refit_names_it(run: Run, folder: Path) -> None:
    pd.DataFrame({"product": ["a", "b"], "week": [1, 2], "colour": ["red", "blue"]}).to_csv(
        "odd.csv", index=False
    )
    result = run("init", "odd.csv")
    assert result.exit_code == 0
    assert result.stderr.count("\n") == 1
    assert "open: sales.columns.units, sales.columns.price" in result.stderr
    assert "    units:  # OPEN: no column of units sold is found" in (folder / "elasticity.yaml").read_text()
    refit = run("refit")
    assert refit.exit_code == 2
    assert refit.stderr.count("\n") == 1
    assert "sales.columns.units is open" in refit.stderr


def test_init_takes_folders_and_globs(run: Run, folder: Path) -> None:
    (folder / "in").mkdir()
    sales = simulated_sales()
    sales.iloc[::2].to_csv("in/a.csv", index=False)
    sales.iloc[1::2].to_csv("in/b.csv", index=False)
    assert run("init", "in").exit_code == 0
    assert load_settings(folder / "elasticity.yaml").sales.path == [str(folder / "in" / "*.csv")]
    (folder / "elasticity.yaml").unlink()
    assert run("init", "in/*.csv").exit_code == 0
    assert load_settings(folder / "elasticity.yaml").sales.path == [str(folder / "in" / "*.csv")]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_simulate_writes_sales_and_truth(run: Run, folder: Path, suffix: str) -> None:
    arguments = ["simulate", "--products", "7", "--weeks", "5", "--categories", "2", "--seed", "3"]
    (folder / "new").mkdir()
    result = run(*arguments, "--out", f"new/sales.{suffix}", "--truth", f"truth.{suffix}")
    assert result.exit_code == 0
    sales = duckdb.sql(f"FROM 'new/sales.{suffix}'").df()
    truth = duckdb.sql(f"FROM 'truth.{suffix}'").df()
    assert len(sales) == 35
    assert {"category", "product", "week", "units", "price"} <= set(sales)
    assert set(truth["product"]) == set(sales["product"])
    assert truth.groupby("category")["category_elasticity"].nunique().tolist() == [1, 1]
    assert sorted(path.name for path in (folder / "new").iterdir()) == [f"sales.{suffix}"]

    run(*arguments, "--out", f"again.{suffix}")
    pd.testing.assert_frame_equal(duckdb.sql(f"FROM 'again.{suffix}'").df(), sales)


def test_simulate_draws_what_departs_from_the_model_and_names_each_in_its_help(
    run: Run, folder: Path
) -> None:
    arguments = ["simulate", "--products=9", "--weeks=5", "--categories=2", "--out=s.csv", "--truth=t.csv"]
    assert run(*arguments, "--departure", "substitutes_one").exit_code == 0
    sales, truth = (duckdb.sql(f"FROM '{name}.csv'").df() for name in "st")
    assert sales.groupby("category")["substitutes"].nunique().tolist() == [2, 1]
    # Five products: a group of four, and one alone; four products: one group.
    assert truth["cross_elasticity"].round(3).tolist() == [0.333] * 4 + [0.0] + [0.333] * 4
    assert run(*arguments, "--departure", "stockpiling").exit_code == 0
    sales, truth = (duckdb.sql(f"FROM '{name}.csv'").df() for name in "st")
    assert "substitutes" not in sales
    np.testing.assert_allclose(truth["elasticity_long_run"], 0.46 * truth["elasticity"])
    result = run(*arguments, "--departure", "unheard_of")
    assert result.exit_code == 2
    assert "unheard_of" in result.stderr
    text = run("simulate", "--help").stdout
    assert all(name in text and make.__doc__ in text for name, make in DEPARTURES.items())


def test_simulate_draws_twin_markets(run: Run, folder: Path) -> None:
    arguments = ["simulate", "--products=4", "--weeks=5", "--categories=1", "--out=s.csv", "--truth=t.csv"]
    assert run(*arguments, "--confounded").exit_code == 0
    sales, truth = (duckdb.sql(f"FROM '{name}.csv'").df() for name in "st")
    assert sales.groupby("category").size().tolist() == [20, 20]
    assert {"cost", "randomized"} <= set(sales)
    assert truth.groupby("category")["correlation"].first().tolist() == [0.6, 0.0]
    result = run(*arguments, "--confounded", "--departure", "base")
    assert result.exit_code == 2
    assert "--confounded and --departure: give one of them" in result.stderr


def test_simulate_draws_zones(run: Run, folder: Path) -> None:
    arguments = ["simulate", "--products=5", "--weeks=6", "--categories=2", "--out=s.csv", "--truth=t.csv"]
    assert run(*arguments, "--zones", "3").exit_code == 0
    sales, truth = (duckdb.sql(f"FROM '{name}.csv'").df() for name in "st")
    assert sales.groupby("category").size().tolist() == [3 * 3 * 6, 2 * 3 * 6]
    assert sales.groupby("zone")["size"].nunique().tolist() == [1, 1, 1], "a zone's in every category"
    assert sales.groupby(["product", "week"])["price"].nunique().max() == 3
    assert truth.groupby("product")["product_elasticity"].nunique().tolist() == [1] * 5
    within = truth.groupby("product")["elasticity"]
    assert (
        (within.min() < truth.groupby("product")["product_elasticity"].first()) & (within.nunique() == 3)
    ).all()
    result = run(*arguments, "--zones", "3", "--confounded")
    assert result.exit_code == 2
    assert "--confounded and --zones: give one of them" in result.stderr


def test_a_file_with_brackets_in_its_name_is_added(folder: Path) -> None:
    write_settings(folder)
    (folder / "s[1].csv").touch()
    settings = _with_sales(load_settings(), ["s[1].csv"])
    assert settings.sales.path[-1] == str(folder / "s[1].csv")


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "--products=2", "--weeks=3", "--categories=1", "--out", "/dev/null/s.csv"],
        ["init", "sales.csv"],
        ["refit"],
        ["status"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_cannot_be_written_is_named_in_one_line(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    write_settings(folder)
    simulated_sales().to_csv(folder / "sales.csv", index=False)
    monkeypatch.setenv("DAGSTER_HOME", "/dev/null/home")
    if arguments[0] == "init":
        monkeypatch.setenv("ELASTICITY_CONFIG", "/dev/null/elasticity.yaml")
    result = run(*arguments)
    assert result.exit_code == (2 if arguments[0] == "simulate" else 1)
    assert result.stderr.count("\n") == 1
    assert "/dev/null" in result.stderr


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """Make a folder a file system of its own, if that is allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("may not mount a file system")
    try:
        yield
    finally:
        while os.path.ismount(folder):  # one may lie on the other
            subprocess.run(["umount", "--lazy", "--recursive", str(folder)], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a file system; whoever is root may write to any other")
@pytest.mark.parametrize("read_only", [".", "history/runs.db"])
def test_a_record_of_runs_that_is_read_only_is_named_in_one_line(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, read_only: str
) -> None:
    write_settings(folder)
    home = folder / "home"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with mounted(home, "30m"):
        run("refit")  # there are no sales: one run, which fails
        place = str(home / read_only)
        subprocess.run(["mount", "--bind", place, place], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        refitted, status = run("refit"), run("status")
    for result in (refitted, status):
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
    if read_only == ".":
        assert refitted.stderr == status.stderr
        assert refitted.stderr == f"{home} cannot be written; make it writable, or set DAGSTER_HOME\n"
    else:
        assert refitted.stderr.startswith(f"{place}: is read-only; move {home} away: only the runs' history")
        assert " of ingest failed " in status.stderr, "what can be read is shown"


def test_a_damaged_published_file_is_named_in_one_line(run: Run, folder: Path) -> None:
    write_settings(folder)
    (folder / "data").mkdir()
    (folder / "data/elasticity.duckdb").write_bytes(b"no database" * 1000)
    result = run("status")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"{folder / 'data/elasticity.duckdb'} is damaged: ")
    assert "`elasticity refit` publishes it anew" in result.stderr


def test_status_misses_a_warehouse_whose_copy_is_there(run: Run, folder: Path) -> None:
    write_settings(folder)
    (folder / "data").mkdir()
    (folder / "data/warehouse.kept.duckdb").touch()
    result = run("status")
    assert result.exit_code == 1
    assert f"cp {folder / 'data/warehouse.kept.duckdb'} {folder / 'data/warehouse.duckdb'}" in result.stderr


def test_an_error_of_the_program_keeps_its_traceback(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    write_settings(folder)
    monkeypatch.setattr("elasticity_assets.command.cli.load_settings", broken)
    with pytest.raises(ZeroDivisionError):
        run("status")


def test_status_says_that_nothing_is_published_yet(run: Run, folder: Path) -> None:
    write_settings(folder)
    result = run("status")
    assert result.exit_code == 0
    assert "nothing is published yet" in result.stdout


def test_status_names_a_published_file_that_somebody_wrote_to(run: Run, folder: Path) -> None:
    write_settings(folder)
    warehouse, published = (
        Warehouse(path=str(folder / "data/warehouse.duckdb")),
        folder / "data/elasticity.duckdb",
    )
    fill(warehouse)
    publish(warehouse, published, refit(1), controls=CONTROLS)
    assert run("status").exit_code == 0
    published.chmod(0o644)
    with duckdb.connect(published) as connection:
        connection.execute("DELETE FROM product_elasticity")
    result = run("status")
    assert result.exit_code == 1
    assert "is not as refit refit-1 published it" in result.stderr


@pytest.mark.parametrize("command", ["refit", "status"])
def test_a_damaged_warehouse_is_named_at_once_in_one_line(run: Run, folder: Path, command: str) -> None:
    write_settings(folder)
    (folder / "sales").mkdir()
    simulated_sales().to_csv(folder / "sales/sales.csv", index=False)
    file = folder / "data/warehouse.duckdb"
    fill(Warehouse(path=str(file)))
    content = bytearray(file.read_bytes())
    content[3 * 4096 + 1000 :: 256 * 1024] = b"#" * len(content[3 * 4096 + 1000 :: 256 * 1024])
    file.write_bytes(content)
    result = run(command)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{file} is damaged: ")
    assert result.stderr.count("\n") == 1
    assert "made anew from the sales files" in result.stderr


def test_status_imports_neither_dagster_nor_pandas(folder: Path) -> None:
    write_settings(folder)
    program = """
import subprocess
import sys
from elasticity_assets.command.cli import main
main(["status"], standalone_mode=False)
slow = {"dagster", "pandas", "scipy", "jax", "altair", "vl_convert", "holidays", "fsspec"} & sys.modules.keys()
sys.exit(f"imported: {slow}" if slow else 0)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_status_tells_of_a_run_that_failed(run: Run, folder: Path) -> None:
    write_settings(folder)
    (folder / "sales").mkdir()
    simulated_sales().assign(price=-1).to_csv(folder / "sales/sales.csv", index=False)
    refitted = run("refit")
    assert refitted.exit_code == 1
    result = run("status")
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if " of ingest failed" in line]
    assert "sales.csv" in line
    assert "no check failed" not in result.stdout


def test_status_goes_on_to_the_runs_while_another_process_writes_the_warehouse(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(folder)
    run("refit")  # there are no sales: a run that fails
    monkeypatch.setattr("elasticity_assets.command.status._SECONDS_TO_OPEN", 0.2)
    program = """
import sys
import duckdb
with duckdb.connect("data/warehouse.duckdb"):
    print("held", flush=True)
    sys.stdin.read()
"""
    (folder / "data").mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        result = run("status")
        writer.communicate("", timeout=60)
    assert result.exit_code == 1, "because of the run that failed"
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("checks: ")]
    assert "the warehouse is being written by " in line
    assert f"(PID {writer.pid})" in line
    assert " of ingest failed" in result.stderr


GARBAGE = b"no database" * 1000


def of_garbage(name: str) -> Callable[[Path], None]:
    def harm(home: Path) -> None:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(GARBAGE)

    return harm


def a_folder(home: Path) -> None:
    (home / "history/runs.db").mkdir(parents=True)


def of_two_files(home: Path) -> None:
    of_garbage("history/runs/0a1b.db")(home)
    of_garbage("history/runs/index.db")(home)


@pytest.mark.parametrize("command", ["refit", "status"])
@pytest.mark.parametrize(
    ("harm", "file", "remedy"),
    [
        (of_two_files, "history/runs/index.db", "move {home} away: only the runs' history is lost"),
        (
            of_garbage("history/runs.db"),
            "history/runs.db",
            "move {home} away: only the runs' history is lost",
        ),
        (
            of_garbage("history/runs/index.db"),
            "history/runs/index.db",
            "move {home} away: only the runs' history",
        ),
        (of_garbage("schedules/schedules.db"), "schedules/schedules.db", "move {home} away: only the runs'"),
        (a_folder, "history/runs.db", "move {home} away: only the runs' history is lost"),
        (of_garbage("dagster.yaml"), "dagster.yaml", "remove it, and it is written anew"),
    ],
)
def test_a_damaged_record_of_runs_is_named_in_one_line(
    run: Run, folder: Path, command: str, harm: Callable[[Path], None], file: str, remedy: str
) -> None:
    write_settings(folder)
    home = folder / ".dagster"
    harm(home)
    result = run(command)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert str(home / file) in result.stderr
    assert remedy.format(home=home) in result.stderr


def test_a_table_that_the_record_of_runs_lacks_is_told_in_one_line(run: Run, folder: Path) -> None:
    write_settings(folder)
    file = folder / ".dagster/history/runs/index.db"
    file.parent.mkdir(parents=True)
    with closing(
        sqlite3.connect(file)
    ) as opened:  # what a process left that was killed while it made the file
        opened.execute("CREATE TABLE event_logs (id INTEGER)")
        opened.execute("CREATE TABLE alembic_version (version_num VARCHAR)")
        opened.execute("INSERT INTO alembic_version VALUES ('7e2f3204cf8e')")
        opened.commit()
    result = run("refit")
    assert result.exit_code == 1
    assert result.stderr == (
        f"{folder / '.dagster'}: a table of Dagster's record of the runs is missing; move {folder / '.dagster'} away: "
        "only the runs' history is lost, and which schedules are on\n"
    )


def test_damaged_events_of_one_run_cost_that_runs_alone(run: Run, folder: Path) -> None:
    write_settings(folder)
    file = folder / ".dagster/history/runs/0a1b.db"
    of_garbage("history/runs/0a1b.db")(folder / ".dagster")
    result = run("status")
    assert result.exit_code == 1
    assert result.stderr == (
        f"{file}: file is not a database; remove it: only the events of that run are lost\n"
    )
    file.unlink()
    assert run("status").exit_code == 0


def test_an_unknown_key_of_dagsters_settings_is_named_in_one_line(run: Run, folder: Path) -> None:
    write_settings(folder)
    (folder / ".dagster").mkdir()
    (folder / ".dagster/dagster.yaml").write_text("nonsense: 1\n")
    result = run("refit")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert 'dagster.yaml: Received unexpected config entry "nonsense"' in result.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a file system")
def test_a_full_disk_under_the_record_of_runs_is_named_in_one_line(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(folder)
    home = folder / "home"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with mounted(home, "300k"):
        result = run("refit")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert f"{home}: the disk is full; free some of it" in result.stderr


def test_runs_of_the_command_belong_to_the_code_location_of_the_workspace(run: Run, folder: Path) -> None:
    write_settings(folder)
    run("refit")  # there are no sales: one run, which fails
    workspace = yaml.safe_load((Path(__file__).parents[2] / "workspace.yaml").read_text())
    module = workspace["load_from"][0]["python_module"]
    with dg.DagsterInstance.from_config(str(folder / ".dagster")) as instance:
        of_location = {".dagster/repository": f"__repository__@{module['location_name']}"}
        (ingest,) = instance.get_runs(dg.RunsFilter(tags=of_location))
    origin = ingest.remote_job_origin
    assert origin is not None
    location = origin.repository_origin.code_location_origin
    assert location.location_name == module["location_name"]
    assert location.loadable_target_origin.module_name == module["module_name"]
    assert ingest.tags["dagster/max_retries"] == "0", "it would be started again where nobody waits for it"


def test_a_refit_that_is_not_kept_is_refused_though_a_run_has_the_warehouse(run: Run, folder: Path) -> None:
    write_settings(folder)
    with run_lock(folder / "data/warehouse.duckdb"):
        program = "from elasticity_assets.command.cli import main; main(['rollback', 'no-such-refit'])"
        ended = subprocess.run(
            [sys.executable, "-c", program], check=False, timeout=60, capture_output=True, text=True
        )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.EACCES, "permission denied; make it readable and writable"),
        (errno.EROFS, "the disk is read-only; name another place"),
        (errno.ENOSPC, "the disk is full; free some of it"),
    ],
)
def test_what_the_system_refuses_is_told_with_what_helps(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, what: str
) -> None:
    def refused() -> None:
        raise OSError(number, os.strerror(number), "/somewhere")

    monkeypatch.setattr("elasticity_assets.command.cli.load_settings", refused)
    result = run("status")
    assert result.exit_code == 1
    assert result.stderr.startswith("/somewhere: ")
    assert what in result.stderr
    assert "Errno" not in result.stderr


def test_ctrl_c_ends_a_refit_at_once_and_leaves_no_run_under_way(folder: Path) -> None:
    write_settings(folder)
    (folder / "sales").mkdir()
    simulated_sales().to_csv(folder / "sales/sales.csv", index=False)
    program = """
import os, time
from elasticity_assets.command.cli import main
from elasticity_assets.fitting.fitter import Fitter

def fit(*_, **__):
    os.write(1, b"fitting\\n")  # whole, beside another thread's
    time.sleep(300)

Fitter.fit = fit
main(["refit"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as refit:
        try:
            assert refit.stdout is not None
            assert refit.stdout.readline() == "fitting\n", refit.communicate(timeout=240)[1]
            refit.send_signal(signal.SIGINT)
            _, errors = refit.communicate(timeout=240)  # the fit would take five minutes
        finally:
            refit.kill()
    assert refit.returncode == 130
    # Whatever compiles meanwhile may complain, on a slow machine, after this line.
    told = "interrupted; what is published stays as it is"
    assert sum(line.startswith(told) for line in errors.splitlines()) == 1, errors
    assert "Traceback" not in errors
    runs = last_runs(folder / ".dagster")
    assert [(run.job, run.status) for run in runs] == [("refit", "CANCELED"), ("ingest", "SUCCESS")]


@pytest.mark.skipif(sys.platform != "linux", reason="bounds the memory of a process")
def test_a_command_that_runs_out_of_memory_says_so_in_one_line(folder: Path) -> None:
    program = """
import resource
from elasticity_assets.command.cli import main
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
main(["simulate", "--products=100000", "--weeks=100000", "--categories=1", "--out=sales.csv"])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, timeout=120, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("simulate: memory ran out; ")
    assert ended.stderr.count("\n") == 1


def test_of_a_run_that_the_system_killed_it_is_said_where_it_was_and_what_helps(
    run: Run, folder: Path
) -> None:
    write_settings(folder)
    (folder / "sales").mkdir()
    simulated_sales().to_csv(folder / "sales/sales.csv", index=False)
    program = """
import time
from elasticity_assets.assets import sales
from elasticity_assets.command.cli import main

def take_in_files(*_, **__):
    print("taking in", flush=True)
    time.sleep(300)

sales.take_in_files = take_in_files
main(["refit"])
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as refit:
        assert refit.stdout is not None
        assert refit.stdout.readline() == "taking in\n"
        refit.kill()  # as the system does where memory runs out
    result = run("status")
    (line,) = [line for line in result.stdout.splitlines() if " of ingest started " in line]
    assert "and its process has gone at raw_sales; `elasticity refit` starts anew" in line
    assert "for want of memory (its log says so), lower `warehouse_memory`" in line


@pytest.mark.skipif(sys.platform != "linux", reason="refuses a process its system calls")
@pytest.mark.parametrize(
    ("command", "error"),
    [("write", "ENOLCK"), ("write", "EOPNOTSUPP"), ("status", "ENOSYS")],
)
def test_a_warehouse_where_files_cannot_be_locked_is_named_at_once(
    folder: Path, command: str, error: str
) -> None:
    write_settings(folder)
    (folder / "data").mkdir()
    duckdb.connect(folder / "data/warehouse.duckdb").close()
    program = """
import sys
from elasticity_assets.command.cli import main
from elasticity_assets.settings import load_settings
from elasticity_assets.warehouse.of_settings import warehouse_of
from elasticity_assets_tests.support.no_locks import refuse_locks
try:
    refuse_locks(sys.argv[2])
except OSError as error:
    sys.exit(f"may not refuse: {error}")
if sys.argv[1] == "status":
    main(["status"])
with warehouse_of(load_settings()).write():
    pass
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, command, error],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},  # the tests are not installed
        check=False,
        timeout=120,  # a held file would be waited for 300 s
        capture_output=True,
        text=True,
    )
    if "may not refuse" in ended.stderr:
        pytest.skip(ended.stderr)
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if "no locks" in line]
    assert f"{folder / 'data/warehouse.duckdb'}: this file system has no locks; put the warehouse on " in line
