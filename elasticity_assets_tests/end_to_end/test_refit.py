"""The installed command in processes of its own."""

import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import yaml

from elasticity_assets_tests.support.projects import CATEGORIES, settings_dict, simulated_sales

UNUSABLE: list[tuple[str, object]] = [
    ("week", "2199-12-01"),
    ("price", 1e-7),
    ("price", 1e308),
    ("units", 1e308),
]
"""Columns, and values that no row can have."""
COMMAND = [sys.executable, "-W", "error", "-c", "from elasticity_assets.command.cli import main; main()"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was refitted once, with rows among its sales that cannot be used."""
    folder = tmp_path_factory.mktemp("project")
    settings = settings_dict(engine="natural_gradient")
    settings["sales"]["max_rejected"] = 1.0
    (folder / "elasticity.yaml").write_text(yaml.safe_dump(settings))
    (folder / "sales").mkdir()
    sales = simulated_sales()
    bad = [sales.iloc[[0]].assign(**{column: value}) for column, value in UNUSABLE]
    half = len(sales) // 2
    pd.concat([sales[:half], *bad, sales[half:]]).to_csv(folder / "sales/sales.csv", index=False)
    umask = os.umask(0o022)
    try:
        done = elasticity(folder, "refit")
    finally:
        os.umask(umask)
    assert done.returncode == 0, done.stderr
    for category in CATEGORIES:
        assert category in done.stdout
    assert str(folder / "data/elasticity.duckdb") in done.stdout
    assert f"report: {folder / 'data/reports/latest.html'}" in done.stdout
    assert "published_elasticity" in done.stderr  # progress
    assert "dagster" not in done.stderr.lower()  # quiet logs
    return folder


def environment(folder: Path) -> dict[str, str]:
    environment = os.environ | {"ELASTICITY_CONFIG": str(folder / "elasticity.yaml")}
    environment.pop("DAGSTER_HOME", None)
    return environment


def elasticity(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=300,
    )


def elasticity_at_a_terminal(folder: Path, *arguments: str) -> str:
    """What the command writes to a terminal's stderr."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL, stderr=slave
    ) as run:
        os.close(slave)
        written = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            written += part
        assert run.wait(timeout=300) == 0, written.decode()
    os.close(master)
    return written.decode()


def published(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """All published tables that a second refit must repeat, without what names a fit, a refit or a time."""
    names = ["fit_id", "fitted_at", "refit_id", "seconds"]
    with duckdb.connect(str(folder / "data/elasticity.duckdb"), read_only=True) as connection:
        for (table,) in connection.sql("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall():
            if table not in ("elasticity_history", "refits", "check_results"):
                rows = connection.sql(f'FROM "{table}" ORDER BY ALL').df()
                yield table, rows.drop(columns=names, errors="ignore")


def test_a_row_that_cannot_be_used_stops_nothing_and_is_named(folder: Path) -> None:
    first_bad = 2 + len(simulated_sales()) // 2  # line 1 is the header
    with duckdb.connect(str(folder / "data/elasticity.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT line, reason FROM rejected_sales ORDER BY line").fetchall()
        used = connection.execute("SELECT rows_used FROM refits").fetchall()
    assert [line for line, _ in found] == list(range(first_bad, first_bad + len(UNUSABLE)))
    assert used == [(len(simulated_sales()),)]
    for (_, reason), (column, _) in zip(found, UNUSABLE, strict=True):
        assert column.replace("week", "period") in reason


def readable_by_others(folder: Path) -> set[str]:
    """Files of a project that somebody else may read, but for those that its user made."""
    own = {"elasticity.yaml", "sales/sales.csv"}
    found = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    compiled = folder / "data/compiled"
    if compiled.exists():  # jax's own files; nothing of sales is in them
        assert compiled.stat().st_mode & 0o077 == 0
    return {
        name
        for name, file in found.items()
        if name not in own and compiled not in file.parents and file.stat().st_mode & 0o077
    }


def test_only_what_is_published_is_others_to_read(folder: Path) -> None:
    found = readable_by_others(folder)
    (refit_id,) = (file.stem for file in (folder / "data/elasticity.refits").iterdir())
    assert found == {"data/elasticity.duckdb", f"data/reports/{refit_id}.html", "data/reports/latest.html"}
    for opened in (folder / "data", folder / "data/reports"):
        assert opened.stat().st_mode & 0o055 == 0o055, "or nobody reaches them"


def test_twice_gives_the_same_tables_also_with_full(folder: Path) -> None:
    first = dict(published(folder))
    assert len(first) == 19
    assert "CHEESE" not in elasticity_at_a_terminal(folder, "refit")  # nothing to fit
    for table, rows in published(folder):
        pd.testing.assert_frame_equal(rows, first[table], check_exact=True, obj=table)
    assert re.search(
        r"CHEESE: \d+pass", elasticity_at_a_terminal(folder, "refit", "--full")
    )  # a progress bar
    for table, rows in published(folder):
        pd.testing.assert_frame_equal(rows, first[table], check_exact=True, obj=table)


def test_sales_on_the_command_line_are_added(folder: Path) -> None:
    more = simulated_sales(3)
    more = more[~more["category"].isin(CATEGORIES)]
    more.to_csv(folder / "more.csv", index=False)
    done = elasticity(folder, "refit", "--sales", "more.csv")
    assert done.returncode == 0, done.stderr
    assert set(dict(published(folder))["category_elasticity"]["category"]) == {*CATEGORIES, *more["category"]}
    status = elasticity(folder, "status")
    assert status.returncode == 0, status.stderr
    assert all(category in status.stdout for category in CATEGORIES)


@pytest.mark.slow
def test_rollback_publishes_an_earlier_refit_until_the_next(folder: Path) -> None:
    with duckdb.connect(str(folder / "data/elasticity.duckdb"), read_only=True) as connection:
        (earlier,) = connection.execute("SELECT refit_id FROM refits ORDER BY number DESC LIMIT 1").fetchone()
    before = dict(published(folder))
    simulated_sales(seed=1).to_csv(folder / "sales/sales.csv", index=False)
    refitted = elasticity(folder, "refit")
    assert refitted.returncode == 0, refitted.stderr
    newest = dict(published(folder))
    assert not newest["product_elasticity"].equals(before["product_elasticity"])
    assert (unknown := elasticity(folder, "rollback", "no-such-refit")).returncode == 2
    assert (
        f"no tables of refit 'no-such-refit'; kept are, newest first: {newest_kept(folder)}" in unknown.stderr
    )
    done = elasticity(folder, "rollback", earlier)
    assert done.returncode == 0, done.stderr
    for table, rows in published(folder):
        pd.testing.assert_frame_equal(rows, before[table], check_exact=True, obj=table)
    assert earlier in (folder / "data/reports/latest.html").read_text()
    status = elasticity(folder, "status").stdout
    assert f"last refit {earlier}" in status
    assert f"newer, and not what is published: refit {newest_kept(folder)}" in status
    assert elasticity(folder, "refit").returncode == 0
    for table, rows in published(folder):
        pd.testing.assert_frame_equal(rows, newest[table], check_exact=True, obj=table)


def newest_kept(folder: Path) -> str:
    return max(
        (folder / "data/elasticity.refits").glob("*.duckdb"), key=lambda file: file.stat().st_mtime_ns
    ).stem
