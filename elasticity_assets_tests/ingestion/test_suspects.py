"""Sales that cannot be as delivered: each kind is found, true promotions are not, and nothing is lost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elasticity_assets.ingestion import all_periods, read_category
from elasticity_assets.warehouse.ducklake import DuckLakeWarehouse
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.sales_files import ingest, sales_settings

pytestmark = pytest.mark.quick

MONDAY = date(2023, 1, 2)
SHOP = {"category": "category"}


@pytest.fixture
def connection(warehouse_file: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """To a warehouse that is a file; one test is of a DuckLake too."""
    with warehouse_file.write() as connection:
        yield connection


def shop(
    n: int = 8,
    T: int = 60,
    *,
    level: float = 50.0,
    promotions: tuple[float, ...] = (),
    category: str = "tea",
    seed: int = 0,
) -> pd.DataFrame:
    """Sales of n products in T weeks at elasticity -2, one row a product and week; some weeks off by a promotion."""
    rng = np.random.default_rng(seed)
    usual = 3.0 * np.exp(rng.normal(0.0, 0.3, (n, 1)))
    off = rng.choice([0.0, 0.0, 0.0, 0.1, 0.2, -0.05], (n, T))
    if promotions:
        off = np.where(rng.random((n, T)) < 0.08, rng.choice(promotions, (n, T)), off)
    price = np.maximum(np.round(usual * (1.0 - off), 2), 0.01)
    units = rng.poisson(level * (price / usual) ** -2.0 * rng.gamma(5.0, 0.2, (n, T)))
    return pd.DataFrame(
        {
            "product": np.repeat([f"{category}-{i}" for i in range(n)], T),
            "category": category,
            "week": np.tile(np.arange(T), n),
            "units": units.ravel().astype(float),
            "price": price.ravel(),
        }
    )


@dataclass(frozen=True)
class Found:
    """What was suspected, by (product, week): what and weight; and in words."""

    what: dict[tuple[str, int], str]
    weight: dict[tuple[str, int], float]
    lines: dict[str, tuple[str, ...]]
    totals: dict[str, str]


def find(
    connection: duckdb.DuckDBPyConnection, folder: Path, *files: pd.DataFrame, place: str | None = None
) -> Found:
    """Take files in, and see what is suspect."""
    for number, sales in enumerate(files):
        dated = sales.assign(date=[MONDAY + timedelta(weeks=int(week)) for week in sales["week"]])
        dated.drop(columns="week").to_csv(folder / f"{number}.csv", index=False)
    columns = {**SHOP, **({place: "place"} if place else {})}
    _, weekly = ingest(connection, sales_settings(folder / "*.csv", columns))
    rows = connection.execute(
        "SELECT product, period_start, what, value, usual, weight FROM suspect_sales"
    ).fetchall()
    keys = [(product, (start - MONDAY).days // 7) for product, start, *_ in rows]
    assert len(set(keys)) == len(keys)
    assert all(0.0 <= weight <= 1.0 and np.isfinite(value + usual) for *_, value, usual, weight in rows)
    assert sum(weekly.suspects.n_cells.values()) == len(rows)
    return Found(
        dict(zip(keys, (row[2] for row in rows), strict=True)),
        dict(zip(keys, (row[5] for row in rows), strict=True)),
        weekly.suspects.lines,
        weekly.suspects.totals,
    )


def cells(sales: pd.DataFrame, chosen: pd.Series) -> set[tuple[str, int]]:
    return set(zip(sales["product"][chosen], sales["week"][chosen], strict=True))


@pytest.mark.parametrize("factor", [10.0, 100.0, 1000.0, 0.1, 0.01])
@pytest.mark.parametrize("level", [0.2, 50.0])
def test_a_mistyped_price_is_found(connection, tmp_path: Path, factor: float, level: float) -> None:
    sales = shop(level=level)
    wrong = (sales["product"] == "tea-3") & (sales["week"] == 17)
    sales.loc[wrong, "price"] = (sales["price"][wrong] * factor).round(4)
    found = find(connection, tmp_path, sales)
    assert found.what == {("tea-3", 17): "price"}
    assert found.weight == {("tea-3", 17): 0.0}
    (line,) = found.lines["price"]
    assert line.startswith("product 'tea-3', week 2023-05-01: price ")


def test_what_does_not_count_leaves_no_price_behind(connection, tmp_path: Path) -> None:
    sales = shop()
    sales.loc[17, "price"] *= 1000.0
    find(connection, tmp_path, sales)
    read = read_category(connection, "tea", [], periods=all_periods(connection), missing_periods="unobserved")
    in_order = np.lexsort((read.period, read.product))
    assert np.flatnonzero(read.weight[in_order] == 0.0).tolist() == [17]
    assert len(read.price) == len(sales)  # weekly_sales keeps it


def test_a_ducklake_finds_the_same(ducklake: DuckLakeWarehouse, connection, tmp_path: Path) -> None:
    sales = pd.concat([shop(), shop(4, category="jam")])
    sales.loc[sales["week"] == 17, "price"] *= 100.0
    files = [sales[sales["week"] < 50], sales[sales["week"] >= 50]]
    with ducklake.write() as lake:
        assert find(lake, tmp_path, *files) == find(connection, tmp_path, *files)


@pytest.mark.parametrize("week", [0, 1, 30, 59])
def test_one_period_in_cents_is_found_whole(connection, tmp_path: Path, week: int) -> None:
    sales = shop()
    wrong = sales["week"] == week
    sales.loc[wrong, "price"] *= 100.0
    found = find(connection, tmp_path, sales)
    assert set(found.what) == cells(sales, wrong)
    (line,) = found.lines["price"]
    assert line.startswith(f"week {MONDAY + timedelta(weeks=week)}: 8 product-weeks at some ")


@pytest.mark.parametrize("factor", [100.0, 0.01, 1000.0])
@pytest.mark.parametrize("first", [20, 45])
def test_of_prices_in_cents_from_a_date_on_the_longer_side_counts(
    connection, tmp_path: Path, factor: float, first: int
) -> None:
    sales = shop()
    late = (sales["product"] == "tea-2") & (sales["week"] >= first)
    sales.loc[late, "price"] = (sales["price"][late] * factor).round(4)
    found = find(connection, tmp_path, sales)
    early = (sales["product"] == "tea-2") & (sales["week"] < first)
    assert set(found.what) == cells(sales, late if first > 30 else early)
    assert set(found.what.values()) == {"price"}
    assert len(found.lines["price"]) == 1


@pytest.mark.parametrize("pack", [6.0, 12.0, 24.0])
@pytest.mark.parametrize("upwards", [True, False])
def test_another_pack_size_is_another_unit_of_measure(
    connection, tmp_path: Path, pack: float, upwards: bool
) -> None:
    sales = shop(level=200.0)
    late = (sales["product"] == "tea-5") & (sales["week"] >= 40)
    factor = pack if upwards else 1.0 / pack
    sales.loc[late, "price"] *= factor
    sales.loc[late, "units"] = (sales["units"][late] / factor).round()
    found = find(connection, tmp_path, sales)
    assert set(found.what) == cells(sales, late)
    assert set(found.what.values()) == {"unit of measure"}


@pytest.mark.parametrize("factor", [100.0, 1000.0])
def test_mistyped_units_are_found(connection, tmp_path: Path, factor: float) -> None:
    sales = shop()
    sales.loc[[25, 70], "units"] = np.maximum(sales["units"][[25, 70]], 20.0) * factor
    found = find(connection, tmp_path, sales)
    assert found.what == {("tea-0", 25): "units", ("tea-1", 10): "units"}


def test_a_file_in_cents_is_named(connection, tmp_path: Path) -> None:
    sales = shop()
    late = sales["week"] >= 52
    in_cents = sales[late].assign(price=sales["price"][late] * 100.0)
    found = find(connection, tmp_path, sales[~late], in_cents)
    assert set(found.what) == cells(sales, late)
    (line,) = found.lines["price"]
    assert line.startswith(f"file {tmp_path / '1.csv'}: 64 product-weeks at some 100 times the usual")


def test_a_store_whose_file_is_in_cents_is_named(connection, tmp_path: Path) -> None:
    one, other = shop(), shop(seed=1)
    other["price"] = one["price"] * 100.0
    extra = shop(seed=2).assign(price=one["price"], place="C")
    found = find(connection, tmp_path, one.assign(place="A"), other.assign(place="B"), extra, place="store")
    assert found.lines["price"][0].startswith(f"file {tmp_path / '1.csv'}: ")
    assert set(found.weight.values()) == {0.0}


def test_a_product_that_is_always_in_cents_is_named_and_counts(connection, tmp_path: Path) -> None:
    sales = shop()
    always = sales["product"] == "tea-4"
    sales.loc[always, "price"] *= 100.0
    found = find(connection, tmp_path, sales)
    assert set(found.what) == cells(sales, always)
    assert set(found.weight.values()) == {1.0}
    assert len(found.lines["price"]) == 1


def totals(sales: pd.DataFrame, product: str, category: str) -> pd.DataFrame:
    by_week = (
        sales.assign(revenue=sales["units"] * sales["price"]).groupby("week")[["units", "revenue"]].sum()
    )
    price = (by_week["revenue"] / by_week["units"]).round(2)
    return pd.DataFrame(
        {
            "product": product,
            "category": category,
            "week": by_week.index,
            "units": by_week["units"],
            "price": price,
        }
    )


def test_totals_published_as_products_are_named(connection, tmp_path: Path) -> None:
    tea, jam = shop(4), shop(5, category="jam", seed=1)
    found = find(
        connection,
        tmp_path,
        pd.concat(
            [
                tea,
                totals(tea, "TOTAL tea", "tea"),
                jam,
                totals(jam, "TOTAL jam", "jam"),
                totals(pd.concat([tea, jam]), "TOTAL", "all"),
            ]
        ),
    )
    assert set(found.what.values()) == {"total row"}
    assert {product for product, _ in found.what} == {"TOTAL tea", "TOTAL jam", "TOTAL"}
    assert len(found.lines["total row"]) == 3


@pytest.mark.parametrize("place", ["store", "zone"])
def test_a_store_or_zone_of_totals_is_named(connection, tmp_path: Path, place: str) -> None:
    places = [shop(3, seed=seed).assign(place=f"S{seed}") for seed in range(3)]
    everywhere = places[0].assign(units=sum(sales["units"] for sales in places), place="ALL")
    found = find(connection, tmp_path, pd.concat([*places, everywhere]), place=place)
    assert found.totals == {f"{place} 'ALL'": "by its units"}


@pytest.mark.parametrize("name", ["All stores", "Alle Filialen", "Total", "GRAND TOTAL", "Todas las tiendas"])
def test_a_store_named_as_all_of_them_is_named(connection, tmp_path: Path, name: str) -> None:
    store = shop(3).assign(place="Totaldruck")
    everywhere = store.assign(units=store["units"] + 1, place=name)  # and a few more
    found = find(connection, tmp_path, pd.concat([store, everywhere]), place="store")
    assert found.totals == {f"store {name!r}": "by its name"}
    alone = find(connection, tmp_path, everywhere, place="store")
    assert alone.totals == {}


def without_zeros(sales: pd.DataFrame) -> pd.DataFrame:
    return sales[sales["units"] > 0]


@pytest.mark.parametrize("delivered", [pd.DataFrame, without_zeros])
@pytest.mark.parametrize("level", [0.2, 2.0, 50.0, 1000.0])
def test_true_promotions_are_not_suspected(
    connection, tmp_path: Path, level: float, delivered: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    sales = delivered(shop(60, level=level, promotions=(0.6, 0.8)))
    assert find(connection, tmp_path, sales).what == {}


def test_prices_that_rise_by_half_a_year_after_year_are_not_suspected(connection, tmp_path: Path) -> None:
    sales = shop(T=250)
    sales["price"] = (sales["price"] * 1.5 ** (sales["week"] / 26)).round(2)  # fiftyfold in the end
    assert find(connection, tmp_path, sales).what == {}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prices=st.lists(st.floats(0.01, 1e6).map(lambda price: float(f"{price:.4g}")), min_size=1, max_size=4),
    units=st.lists(st.integers(0, 300), min_size=1, max_size=40),
)
def test_products_of_one_price_are_never_suspect_by_it(
    warehouse_file, tmp_path_factory, prices, units
) -> None:
    sales = pd.DataFrame(
        {
            "product": np.repeat([f"p{i}" for i in range(len(prices))], len(units)),
            "category": "tea",
            "week": np.tile(np.arange(len(units)), len(prices)),
            "units": np.tile(np.array(units, float), len(prices)),
            "price": np.repeat(prices, len(units)),
        }
    )
    with warehouse_file.write() as connection:
        found = find(connection, tmp_path_factory.mktemp("sales"), sales)
        connection.execute("DELETE FROM raw_sales; DELETE FROM sales_files; DELETE FROM unused_sales")
    assert "price" not in found.lines
