import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest

from elasticity_assets.command.status import fits_text, kept_refits
from elasticity_assets.published import publish as module
from elasticity_assets.published.publish import (
    PublishError,
    Refit,
    publish,
    publish_again,
)
from elasticity_assets.published.tables import MACRO_COMMENT, published_tables
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.kept import archive
from elasticity_assets.warehouse.sql import quoted
from elasticity_assets_tests.support.both_warehouses import BOTH, on_both
from elasticity_assets_tests.support.small_warehouse import CONTROLS, NASTY, fill, refit


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a warehouse, published once as refit-1."""
    folder = tmp_path_factory.mktemp("template")
    warehouse = Warehouse(path=str(folder / "warehouse.duckdb"))
    fill(warehouse)
    publish(warehouse, folder / "out" / "elasticity.duckdb", refit(1), controls=CONTROLS)
    return folder


@pytest.fixture
def warehouse_file(template: Path, tmp_path: Path) -> Warehouse:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Warehouse(path=str(tmp_path / "warehouse.duckdb"))


@pytest.fixture(params=BOTH)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """A warehouse of either kind, published once."""
    warehouse = request.getfixturevalue(request.param)
    if request.param == "ducklake":
        fill(warehouse)
        publish(warehouse, tmp_path / "out" / "elasticity.duckdb", refit(1), controls=CONTROLS)
    return warehouse


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The published file of refit-1; ask for a warehouse before."""
    return tmp_path / "out" / "elasticity.duckdb"


def contents(file: Path) -> dict[str, list[tuple]]:
    with duckdb.connect(file, read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        return {name: connection.execute(f"FROM {quoted(name)} ORDER BY ALL").fetchall() for name in names}


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@on_both
def test_publishes_every_table_with_the_schemas_columns_and_comments(warehouse, published):
    row_counts = publish(warehouse, published, refit(1), controls=CONTROLS)  # again, as a retry does
    with duckdb.connect(published, read_only=True) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, comment, is_nullable FROM duckdb_columns() ORDER BY column_index"
        ).fetchall()
        comments = dict(connection.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        macro = connection.execute(
            "SELECT comment FROM duckdb_functions() WHERE function_name = 'price_scenario'"
        ).fetchone()
    tables = published_tables(CONTROLS)
    assert comments == {table.name: table.comment for table in tables}
    for table in tables:
        found = [
            (name, comment, nullable) for owner, name, comment, nullable in columns if owner == table.name
        ]
        assert found == [(c.name, c.comment, c.nullable) for c in table.columns]
    assert macro == (MACRO_COMMENT,)
    counts = {name: len(rows) for name, rows in contents(published).items()}
    assert counts == row_counts
    assert counts["price_scenarios"] == 9 * 5
    assert counts["weekly_sales"] == 10
    assert not [name for name in files(published.parent) if "tmp" in name]


@on_both
def test_attributes_of_products_are_published_as_columns_of_their_names(warehouse, published):
    attributes = {"brand": "Acme", NASTY: "large"}
    warehouse.in_transaction(
        lambda connection: connection.execute(
            "INSERT INTO products BY NAME SELECT '1' AS product, 'soup' AS category, map(?, ?) AS attributes",
            [list(attributes), list(attributes.values())],
        )
    )
    publish(warehouse, published, refit(1), controls=CONTROLS)
    with duckdb.connect(published, read_only=True) as connection:
        rows = connection.execute(
            f"SELECT product, brand, {quoted(NASTY)} FROM product_elasticity WHERE category = 'soup' ORDER BY product"
        ).fetchall()
    assert rows == [("1", *attributes.values()), ("2", None, None), ("3", None, None)]


@on_both
def test_nasty_names_arrive_unharmed(warehouse, published):
    tables = contents(published)
    assert (NASTY, NASTY) in {row[:2] for row in tables["product_elasticity"]}
    assert {row[1] for row in tables["control_effect"]} == set(CONTROLS)
    assert tables["rejected_sales"] == [(NASTY, 7, "no units", NASTY, None)]
    assert tables["fit_diagnostics"][0][-2] == ["few products", NASTY]
    with duckdb.connect(published, read_only=True) as connection:
        assert connection.execute("SELECT category FROM price_scenario(?, 0.1)", [NASTY]).fetchall() == [
            (NASTY,)
        ]


def test_macro_agrees_with_price_scenarios_and_knows_every_category_of_a_code(warehouse, published):
    with duckdb.connect(published, read_only=True) as connection:
        scenarios = connection.execute(
            "FROM price_scenarios WHERE product = '1' ORDER BY price_change, category"
        ).df()
        changes = sorted(scenarios["price_change"].unique())
        asked = [connection.execute("FROM price_scenario('1', ?)", [change]).df() for change in changes]
        assert connection.execute("FROM price_scenario('1', -1)").fetchall() == []
    np.testing.assert_allclose(changes, np.arange(-4, 5) / 20)
    assert set(asked[0]["category"]) == {"soup", NASTY}
    pd.testing.assert_frame_equal(
        pd.concat(asked, ignore_index=True).fillna({"flag": ""}),
        scenarios.fillna({"flag": ""}),
        check_exact=False,
        rtol=1e-12,
        check_dtype=False,
    )
    # By hand: elasticity -2 at 10% cheaper sells 0.9^-2 - 1 = 23.5% more, and revenue rises by 0.9^-1 - 1.
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {quoted(str(published), chr(39))} (READ_ONLY)")
        row = connection.execute(
            "SELECT units_change, revenue_change FROM elasticity.price_scenario('1', -0.1) "
            "WHERE category = 'soup'"
        ).fetchone()
    assert row == pytest.approx((0.9**-2 - 1, 1 / 0.9 - 1))


def test_scenarios_tell_a_products_own_move_from_its_categorys_and_flag_what_was_never_charged(
    warehouse, published
):
    with duckdb.connect(published, read_only=True) as connection:
        asked = [
            connection.execute(
                "SELECT units_change, category_units_change, category_revenue_change, flag "
                "FROM price_scenario('1', ?) ORDER BY category = 'soup' DESC",
                [change],
            ).fetchall()
            for change in (-0.33, -0.34, 0.3)
        ]
        nothing = connection.execute(
            "SELECT count(*) FROM price_scenarios WHERE (category = 'soup') = (category_units_change IS NULL)"
        ).fetchone()
    soup, other = zip(*asked, strict=True)
    # By hand: soup's product has elasticity -2 alone, 0.8 more with its category; prices were 1.50 to 2.50, now 2.25.
    assert soup[0][:3] == pytest.approx((0.67**-2 - 1, 0.67**-1.2 - 1, 0.67**-0.2 - 1))
    assert [row[1:3] for row in other] == [(None, None)] * 3
    beyond = "outside the prices observed: 1.50 to 2.50"
    assert [row[-1] for row in soup] == [row[-1] for row in other] == [None, beyond, beyond]
    assert nothing == (0,)


def test_same_input_gives_the_same_tables(warehouse, published, tmp_path):
    first = contents(published)
    fill(warehouse)
    publish(warehouse, published, refit(2), controls=CONTROLS)
    second = contents(published)
    for name in first.keys() - {"refits", "elasticity_history"}:
        assert first[name] == second[name]
    assert [row[0] for row in second["refits"]] == ["refit-1", "refit-2"]
    assert len(second["elasticity_history"]) == 2 * len(first["elasticity_history"])
    # The same refit again, as a retry does, adds nothing.
    publish(warehouse, published, refit(2), controls=CONTROLS)
    assert len(contents(published)["refits"]) == 2
    assert contents(published)["elasticity_history"] == second["elasticity_history"]


def test_weekly_sales_are_whole_and_in_order_however_many_batches_they_are_copied_in(
    warehouse, published, monkeypatch
):
    before = contents(published)["weekly_sales"]
    monkeypatch.setattr(module, "BATCH_ROWS", 1)  # each category is one
    assert publish(warehouse, published, refit(2), controls=CONTROLS)["weekly_sales"] == len(before)
    assert contents(published)["weekly_sales"] == before
    with duckdb.connect(published, read_only=True) as connection:
        keys = connection.execute("SELECT category, product, period_start FROM weekly_sales").fetchall()
    assert keys == sorted(keys)
    assert len({category for category, _, _ in keys}) > 1


def test_refits_row_accounts_for_the_files(warehouse, published):
    with duckdb.connect(published, read_only=True) as connection:
        (row,) = connection.execute("FROM refits").df().to_dict("records")
    assert (row["rows_in"], row["rows_used"], row["rows_rejected"]) == (11, 10, 1)
    assert (row["n_files"], row["n_categories"], row["n_products"]) == (1, 2, 5)
    assert row["refitted_at"] == datetime(2026, 1, 5, 6)
    assert row["versions"]["duckdb"] == duckdb.__version__


@on_both
def test_failed_category_keeps_its_rows_flagged_as_old(warehouse, published):
    publish(warehouse, published, refit(1, failed=("soup",)), controls=CONTROLS)
    with duckdb.connect(published, read_only=True) as connection:
        flags = connection.execute("SELECT DISTINCT category, flag FROM product_elasticity").fetchall()
        same = connection.execute("SELECT DISTINCT category, flag FROM promotion_elasticity").fetchall()
        failed = connection.execute("SELECT failed FROM refits").fetchone()
    assert dict(flags) == {"soup": "old: this refit failed, numbers are of 2026-01-05", NASTY: None}
    assert dict(same) == dict(flags)
    assert failed == (["soup"],)
    publish(warehouse, published, refit(2), controls=CONTROLS)
    with duckdb.connect(published, read_only=True) as connection:
        assert connection.execute("SELECT DISTINCT flag FROM product_elasticity").fetchall() == [(None,)]


ZONE_ROW = (
    "INSERT INTO zone_elasticity SELECT 'soup', '{}', 'north', -2, 0.2, -2.3, -2, -1.7, 1, 0.5, 0.1, 2, "
    "DATE '2026-01-12', 15, 30, NULL, true, '{}', TIMESTAMP '2026-01-05'"
)

BREAKS = {
    "lost product": (
        "DELETE FROM product_elasticity WHERE product = '2'",
        "category soup: 3 products were fitted, 2 stand in product_elasticity",
    ),
    "doubled product": (
        "INSERT INTO product_elasticity FROM product_elasticity WHERE product = '2'",
        "product_elasticity has 1 rows too many for its key",
    ),
    "no products": ("DELETE FROM product_elasticity", "no product has an elasticity"),
    "no sales": ("DELETE FROM weekly_sales", "weekly_sales is empty"),
    "category count": (
        "UPDATE category_elasticity SET n_products = 4 WHERE category = 'soup'",
        "category_elasticity says 4",
    ),
    "lost diagnostics": ("DELETE FROM fit_diagnostics WHERE category = 'soup'", "fit_diagnostics says 0"),
    "mixed fits": ("UPDATE product_elasticity SET fit_id = 'x' WHERE product = '2'", "from different fits"),
    "lost scenario": (
        "DELETE FROM price_scenarios WHERE product = '2' AND price_change = 0",
        "not 9 for each",
    ),
    "old scenario": (
        "UPDATE price_scenarios SET units_change = 0.5 WHERE product = '2'",
        "price_scenarios does not follow from product_elasticity",
    ),
    "old lasting scenario": (
        "UPDATE price_scenarios SET lasting_units_change = 0.5 WHERE product = '2'",
        "category soup: lasting changes in price_scenarios follow from no elasticity",
    ),
    "pair of another fit": (
        "INSERT INTO cross_elasticity SELECT 'soup', '1', '2', 0.2, 0.1, 0.1, 0.3, 'another'",
        "category soup: cross_elasticity is not of products of its fit",
    ),
    "pair without an interval": (
        "INSERT INTO cross_elasticity SELECT 'soup', '1', '2', 0.2, 0, 0.2, 0.2, 'fit of soup'",
        "category soup: product 1 has no proper interval in cross_elasticity",
    ),
    "zone of another fit": (
        ZONE_ROW.format("1", "another"),
        "category soup: zone_elasticity is of another fit than product_elasticity",
    ),
    "product without its zones": (
        ZONE_ROW.format("1", "fit of soup"),
        "category soup: product 2 has no row in zone_elasticity",
    ),
    "zone without an interval": (
        f"{ZONE_ROW.format('1', 'fit of soup')}; UPDATE zone_elasticity SET elasticity_sd = 0",
        "category soup: product 1 has no proper interval in zone north",
    ),
    "old scenario of the category": (
        "UPDATE price_scenarios SET category_units_change = 0.5 WHERE product = '2'",
        "category soup: price_scenarios does not follow from category_move_elasticity",
    ),
    "lost scenario of the category": (
        "UPDATE price_scenarios SET category_units_change = NULL WHERE product = '2'",
        "category soup: price_scenarios does not follow from category_move_elasticity",
    ),
    "a category's move without its index": (
        "UPDATE price_scenarios SET category_units_change = 0 WHERE category <> 'soup'",
        "price_scenarios does not follow from category_move_elasticity",
    ),
    "lost move of the category": (
        "DELETE FROM category_move_elasticity WHERE product = '2'",
        "category_move_elasticity is not of all its products and their fit",
    ),
    "move of the category by another fit": (
        "UPDATE category_move_elasticity SET fit_id = 'x' WHERE product = '2'",
        "category_move_elasticity is not of all its products and their fit",
    ),
    "move of the category that is no number": (
        "UPDATE category_move_elasticity SET elasticity = 'nan' WHERE product = '2'",
        "category soup: the move of its prices has no proper interval for product 2",
    ),
    "lost slopes": (
        "DELETE FROM promotion_elasticity WHERE product = '2'",
        "category soup: promotion_elasticity has 2 products, product_elasticity 3",
    ),
    "old slopes": (
        "UPDATE promotion_elasticity SET fit_id = 'x' WHERE category = 'soup'",
        "category soup: promotion_elasticity is of another fit than product_elasticity",
    ),
    "crossed slope": (
        "UPDATE promotion_elasticity SET promotion_elasticity_q95 = -99 WHERE product = '2'",
        "product 2 has no proper interval in promotion_elasticity",
    ),
    "price in an unknown zone": (
        "INSERT INTO recommended_prices BY NAME SELECT * REPLACE ('x' AS zone) FROM recommended_prices LIMIT 1",
        "has a price for zone x, and no row in zone_elasticity",
    ),
    "uniform pricing without zones": (
        "INSERT INTO uniform_pricing SELECT 'soup', '1', 1, 2, 1, 0, 2, 0.9, 'refit-1'",
        "category soup: product 1 has no proper cost of uniform pricing",
    ),
    "stray effect": ("UPDATE control_effect SET category = 'x'", "has a category without products"),
    "not a number": (
        "UPDATE product_elasticity SET elasticity = 'nan' WHERE product = '2'",
        "product 2 has no proper interval",
    ),
    "crossed interval": ("UPDATE category_elasticity SET elasticity_q05 = 9", "has no proper interval"),
    "two worlds": ("INSERT INTO global_elasticity FROM global_elasticity", "global_elasticity has 2 rows"),
    "no world": ("DELETE FROM global_elasticity", "global_elasticity has 0 rows"),
    "world count": ("UPDATE global_elasticity SET n_categories = 7", "counts 7 categories, 2 were pooled"),
    "unfitted sales": (
        "INSERT INTO weekly_sales BY NAME SELECT * REPLACE ('new' AS category) FROM weekly_sales LIMIT 1",
        "category new: has sales, but was neither fitted nor reported as failed",
    ),
    "lost row": ("UPDATE sales_files SET rows_in = 99", "99 rows came in, 10 are used and 1 rejected"),
}


@pytest.mark.parametrize(("damage", "reason"), BREAKS.values(), ids=BREAKS.keys())
def test_a_failed_check_leaves_the_published_file_as_it_was(warehouse_file, published, damage, reason):
    before = published.read_bytes()
    with warehouse_file.write() as connection:
        connection.execute(damage)
    with pytest.raises(PublishError) as caught:
        publish(warehouse_file, published, refit(2), controls=CONTROLS)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"{published} stays as it was: ")
    assert published.read_bytes() == before
    assert files(published.parent) == {"elasticity.duckdb", "elasticity.refits/refit-1.duckdb"}
    with warehouse_file.read() as connection:
        assert connection.execute("SELECT refit_id FROM refits").fetchall() == [("refit-1",)]


def test_a_category_that_never_was_fitted_may_be_missing_if_it_failed(warehouse, published):
    with warehouse.write() as connection:
        connection.execute(BREAKS["unfitted sales"][0])
        connection.execute("UPDATE sales_files SET rows_in = rows_in + 1")
    publish(warehouse, published, refit(1, failed=("new",)), controls=CONTROLS)
    assert "new" not in {row[0] for row in contents(published)["product_elasticity"]}


def test_missing_control_column_is_one_line(warehouse, published):
    before = published.read_bytes()
    with pytest.raises(PublishError, match="mailer") as caught:
        publish(warehouse, published, refit(2), controls=["mailer"])
    assert "\n" not in str(caught.value)
    assert published.read_bytes() == before


def test_refit_id_must_fit_a_file_name(warehouse, published):
    with pytest.raises(PublishError, match="use letters, digits"):
        publish(warehouse, published, Refit("../x", datetime.now(UTC), {}))


def test_the_macro_works_whatever_the_file_is_called(warehouse, published):
    dotted = published.with_name("elasticity.v2.duckdb")
    publish(warehouse, dotted, refit(2), controls=CONTROLS)
    with duckdb.connect(dotted, read_only=True) as connection:
        (product,) = connection.execute("SELECT product FROM product_elasticity LIMIT 1").fetchone()
        assert connection.execute("FROM price_scenario(?, 0.07)", [product]).fetchall()


def test_keeps_the_last_refits_for_rollback(warehouse, published):
    for number in range(1, 5):
        fill(warehouse, shift=-0.1 * number)
        publish(warehouse, published, refit(number), controls=CONTROLS, keep=2)
    assert warehouse.refits(published) == ["refit-4", "refit-3"]


@pytest.mark.server
def test_a_snapshot_of_an_earlier_version_is_published_again(ducklake, tmp_path):
    published = tmp_path / "out" / "elasticity.duckdb"
    fill(ducklake)
    with ducklake.write() as connection:  # as version 3 left it
        for table, column in (
            ("product_elasticity", "estimated"),
            ("category_elasticity", "estimated"),
            ("elasticity_history", "estimated"),
            ("weekly_sales", "cost"),
            ("refits", "number"),
        ):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("DROP TABLE suspect_sales")
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version (version) VALUES (3)")
        began = "TIMESTAMP '2026-01-05 06:00', 1, 0, 0, 0, 0, 2, 5, [], MAP {}, NULL"
        connection.execute(f"INSERT INTO refits SELECT 'refit-1', {began}")
        connection.execute("BEGIN")
        connection.execute("UPDATE product_elasticity SET units = 31")
        ducklake.name_refit(connection, "refit-1")
        connection.execute("COMMIT")
    fill(ducklake, shift=-1.0)
    publish(ducklake, published, refit(2), controls=CONTROLS)
    now = contents(published)
    publish_again(ducklake, published, "refit-1")
    then = contents(published)
    assert [row[0] for row in then["refits"]] == ["refit-1"]
    with duckdb.connect(published, read_only=True) as connection:
        told = connection.execute("SELECT DISTINCT units, estimated FROM product_elasticity").fetchall()
    assert told == [(31.0, True)]
    assert then["product_elasticity"] != now["product_elasticity"]
    assert then["suspect_sales"] == []


def test_a_clock_that_goes_back_changes_no_order_of_refits(warehouse_file, published):
    settings = SimpleNamespace(on_ducklake=False, published=published)

    def said() -> list[str]:
        return [line.split(",")[0] for line in fits_text(published, kept_refits(settings)).splitlines()[-3:]]

    for number in range(2, 5):
        began = refit(number).began - timedelta(days=number)
        failed = ["soup"] if number == 4 else []
        this = replace(refit(number), began=began, failed=failed)
        publish(warehouse_file, published, this, controls=CONTROLS, keep=2)
        for file in archive(published).glob("*"):
            os.utime(file, (1000 - number, 1000 - number))
        assert said()[-2 - bool(failed)] == f"last refit refit-{number}"
    assert warehouse_file.refits(published) == kept_refits(settings) == ["refit-4", "refit-3"]
    publish_again(warehouse_file, published, "refit-3")
    assert said()[0] == "last refit refit-3"
    assert said()[1:] == [
        ["newer", " and not what is published: refit refit-4"][0],
        "kept for rollback: refit-4",
    ]
    assert kept_refits(settings) == ["refit-4", "refit-3"]
    with duckdb.connect(archive(published) / "refit-3.duckdb") as connection:
        connection.execute("ALTER TABLE refits DROP number")  # as an earlier version left it
    shutil.copyfile(archive(published) / "refit-3.duckdb", published.with_name("old.duckdb"))
    assert "last refit refit-1" in fits_text(published.with_name("old.duckdb"), [])  # by time


def test_a_files_refits_are_kept_as_copies(warehouse_file, published):
    for number in range(1, 5):
        fill(warehouse_file, shift=-0.1 * number)
        publish(warehouse_file, published, refit(number), controls=CONTROLS, keep=2)
    assert sorted(file.stem for file in archive(published).glob("*")) == ["refit-3", "refit-4"]
    third = contents(archive(published) / "refit-3.duckdb")
    assert [row[0] for row in third["refits"]] == ["refit-1", "refit-2", "refit-3"]
    assert contents(archive(published) / "refit-4.duckdb") == contents(published)


def test_nobody_may_write_to_the_published_file(warehouse, published):
    assert published.stat().st_mode & 0o777 == 0o444
    publish(warehouse, published, refit(2), controls=CONTROLS, mode=0o440)
    assert published.stat().st_mode & 0o777 == 0o440
    publish_again(warehouse, published, "refit-1", mode=0o400)
    assert published.stat().st_mode & 0o777 == 0o400


def test_a_copy_with_other_numbers_is_not_published_again(warehouse_file, published):
    before = contents(published)
    with duckdb.connect(archive(published) / "refit-1.duckdb") as connection:
        connection.execute("UPDATE product_elasticity SET elasticity = -9")
    with pytest.raises(PublishError, match=r"refit-1\.duckdb is damaged"):
        publish_again(warehouse_file, published, "refit-1")
    assert contents(published) == before


@on_both
def test_a_kept_refit_is_published_again_and_the_next_refit_knows_all_refits(warehouse, published):
    tables = {}
    for number in range(1, 4):
        fill(warehouse, shift=-0.1 * number)
        publish(warehouse, published, refit(number, failed=("soup",)), controls=CONTROLS)
        tables[number] = contents(published)
    publish_again(warehouse, published, "refit-2")
    assert contents(published) == tables[2]
    assert warehouse.refits(published) == ["refit-3", "refit-2", "refit-1"]
    assert not list(published.parent.glob(".*.tmp"))
    publish(warehouse, published, refit(4), controls=CONTROLS)
    assert [row[0] for row in contents(published)["refits"]] == [f"refit-{number}" for number in range(1, 5)]


def test_a_refit_that_is_not_kept_leaves_the_published_file(warehouse, published):
    before = contents(published)
    with pytest.raises(PublishError, match=r"no tables of refit 'refit-7'; kept are, newest first: refit-1"):
        publish_again(warehouse, published, "refit-7")
    assert contents(published) == before


def test_a_damaged_copy_leaves_the_published_file(warehouse_file, published):
    before = contents(published)
    (archive(published) / "refit-1.duckdb").write_bytes(b"damaged")
    with pytest.raises(PublishError, match="stays as it was"):
        publish_again(warehouse_file, published, "refit-1")
    assert contents(published) == before
    assert not list(published.parent.glob(".*.tmp"))


def test_an_open_reader_keeps_the_old_tables_and_blocks_nothing(warehouse, published):
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        try:
            assert reader.stdout.readline().strip() == "1"
            fill(warehouse, shift=-0.5)
            publish(warehouse, published, refit(2), controls=CONTROLS)
            out, _ = reader.communicate("go\n", timeout=60)
        finally:
            reader.kill()
    assert out.split() == ["1", "2"]  # the open connection's refits, then a new one's


READER = textwrap.dedent("""
    import sys, duckdb
    connection = duckdb.connect(sys.argv[1], read_only=True)
    print(connection.execute("SELECT count(*) FROM refits").fetchone()[0], flush=True)
    sys.stdin.readline()
    print(connection.execute("SELECT count(*) FROM refits").fetchone()[0])
    connection.close()
    print(duckdb.connect(sys.argv[1], read_only=True).execute("SELECT count(*) FROM refits").fetchone()[0])
""")


def test_a_readers_write_ahead_log_is_not_replayed_into_the_new_file(warehouse, published):
    scribble = (
        "import os, sys, duckdb; c = duckdb.connect(sys.argv[1]);"
        "c.execute('SET wal_autocheckpoint = \"1GB\"');"
        "c.execute('DELETE FROM product_elasticity'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", scribble, str(published)], check=True, timeout=60)
    assert published.with_name("elasticity.duckdb.wal").exists()
    publish(warehouse, published, refit(2), controls=CONTROLS)
    assert len(contents(published)["product_elasticity"]) == 5


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from elasticity_assets.published import publish
    from elasticity_assets.warehouse import file
    from elasticity_assets.warehouse.file import Warehouse
    from elasticity_assets_tests.support.small_warehouse import CONTROLS, refit

    where, before = sys.argv[3], sys.argv[4] == "before"
    module = publish if hasattr(publish, where) else file
    original = getattr(module, where)

    def dies(*args):
        if before:
            os.kill(os.getpid(), signal.SIGKILL)
        original(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, where, dies)
    publish.publish(Warehouse(path=sys.argv[1]), Path(sys.argv[2]), refit(2), controls=CONTROLS)
""")


@pytest.mark.parametrize(
    ("where", "when"),
    [("_problems", "before"), ("copy_whole", "after"), ("_record", "after"), ("_move", "before")],
)
def test_a_kill_leaves_the_old_file_whole_and_the_next_refit_completes(
    warehouse_file, published, where, when
):
    before = contents(published)
    fill(warehouse_file, shift=-0.5)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, warehouse_file.path, str(published), where, when],
        timeout=120,
        check=False,
    )
    assert killed.returncode == -9
    assert contents(published) == before
    publish(warehouse_file, published, refit(3), controls=CONTROLS)
    after = contents(published)
    assert {row[2] for row in after["product_elasticity"]} == {None}
    assert after["refits"][-1][0] == "refit-3"
    assert {name for name in files(published.parent) if "tmp" in name} == set()


def test_publishing_waits_for_no_run_but_its_own(warehouse, published):
    with warehouse.run_lock():
        publish(warehouse, published, refit(2), controls=CONTROLS)
    assert len(contents(published)["refits"]) == 2


def test_the_file_is_written_for_older_clients(warehouse, published):
    with duckdb.connect(published, read_only=True) as connection:
        (version,) = connection.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'elasticity'"
        ).fetchone()
    assert version.startswith("v1.2")
    assert module.STORAGE_VERSION == "v1.2.0"
