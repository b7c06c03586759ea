from pathlib import Path

import pytest

from elasticity_assets.ingestion import SalesFileError
from elasticity_assets.ingestion.guess import guess_sales_file
from elasticity_assets.settings import load_settings
from elasticity_assets_tests.support.sales_files import REPOSITORY, ingest, write_lines

pytestmark = pytest.mark.quick

ONLINE_RETAIL = REPOSITORY.parent / "shared" / "data" / "online_retail.parquet"


def test_the_sample_is_guessed_as_its_settings_say(tmp_path: Path) -> None:
    file = next((REPOSITORY / "data" / "sample").glob("*.csv"))
    guess = guess_sales_file(str(file))
    written = tmp_path / "elasticity.yaml"
    written.write_text(guess.settings_text(str(file)), encoding="utf-8")
    guessed, ours = load_settings(written).sales, load_settings(REPOSITORY / "elasticity.yaml").sales
    assert guessed.model_copy(update={"path": ours.path}) == ours


def test_a_web_shop_is_guessed(connection, tmp_path: Path) -> None:
    if not ONLINE_RETAIL.exists():
        pytest.skip(f"needs {ONLINE_RETAIL.name} beside the project, in ../shared/data")
    guess = guess_sales_file(str(ONLINE_RETAIL))
    written = tmp_path / "elasticity.yaml"
    written.write_text(guess.settings_text(str(ONLINE_RETAIL)), encoding="utf-8")
    sales = load_settings(written).sales
    assert sales.columns.model_dump(exclude_none=True) == {
        "product": "StockCode", "period": "InvoiceDate", "units": "Quantity", "price": "UnitPrice",
        "description": "Description",
    }  # fmt: skip
    assert any("POST, DOT" in sentence for sentence in guess.sentences)
    _, weekly = ingest(connection, sales)
    assert weekly.n_product_periods > 90_000


DAYS = [f"{day:02}.{month:02}.2024" for month in (1, 2) for day in range(1, 29)]


def test_a_european_file(connection, tmp_path: Path) -> None:
    file = tmp_path / "umsätze.csv"
    lines = [f"Käse;Molkerei;{day};3;1,50;2,00;1" for day in DAYS] + [
        "Brot;Backwaren;02.01.2024;2;3,00;3,00;0"
    ]
    header = "Artikel;Warengruppe;Datum;Menge;Preis;Base Price;Promo"
    file.write_bytes("\n".join([header, *lines]).encode("latin-1"))
    guess = guess_sales_file(str(file))
    written = tmp_path / "elasticity.yaml"
    written.write_text(guess.settings_text(file.name), encoding="utf-8")
    sales = load_settings(written).sales
    assert sales.columns.model_dump(exclude_none=True) == {
        "product": "Artikel", "category": "Warengruppe", "period": "Datum", "units": "Menge",
        "price": "Preis", "regular_price": "Base Price",
    }  # fmt: skip
    assert (sales.decimal, sales.encoding, sales.date_format) == (",", "latin-1", "%d.%m.%Y")
    assert (sales.period, sales.controls) == ("week", ["Promo"])
    _, weekly = ingest(connection, sales)
    assert not any("unreadable" in reason or "malformed" in reason for reason in weekly.rejected)


@pytest.mark.parametrize(
    ("name", "values", "period"),
    [
        ("week", ["1", "2", "30"], "week"),
        ("day", ["1", "2", "30"], "day"),
        ("month", ["1", "2", "30"], "month"),
        ("period", ["2024-W05", "2024-W06"], "week"),
        ("period", ["2024-05", "2024-12"], "month"),
        ("period", ["2024-05", "2024-31"], "week"),
        ("date", ["2024-01-01", "2024-02-01", "2024-03-01"], "month"),
        ("date", ["2024-01-06", "2024-01-13"], "week"),
        ("date", ["2024-01-06", "2024-01-07"], "week"),
        ("Some Time", ["2024-01-06", "2024-01-07"], "week"),
    ],
)
def test_periods_are_told_from_names_and_values(
    tmp_path: Path, name: str, values: list[str], period: str
) -> None:
    lines = [f"{sku},{value},1,2.5" for value in values for sku in ("A1", "B1")]
    file = write_lines(tmp_path / "sales.csv", *lines, header=f"SKU,{name},Qty,Total Price")
    guess = guess_sales_file(str(file))
    assert guess.sales["period"] == period
    assert guess.sales["columns"] == {
        "product": "SKU",
        "period": name,
        "units": "Qty",
        "revenue": "Total Price",
    }


def test_a_file_without_a_price_is_refused_in_one_line(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "sales.csv", "A,2024-01-01,1", "B,2024-01-01,1", header="sku,date,units")
    with pytest.raises(
        SalesFileError, match="cannot tell which column holds price or revenue; it has sku, date"
    ):
        guess_sales_file(str(file))
