import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from elasticity_assets.settings import Settings, SettingsError, load_settings
from elasticity_assets.settings import settings as settings_module

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
MINIMAL = {
    "sales": {
        "path": "sales.csv",
        "columns": {"product": "sku", "period": "week", "units": "qty", "price": "p"},
    }
}
COLUMNS = MINIMAL["sales"]["columns"]
WITHOUT_PRICE = {key: name for key, name in COLUMNS.items() if key != "price"}


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELASTICITY_CONFIG", raising=False)


def write(folder: Path, content: object) -> Path:
    file = folder / "elasticity.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return file


def changed(dotted: str, value: object) -> dict:
    """MINIMAL with one key set, or removed where value is None."""
    content = yaml.safe_load(yaml.safe_dump(MINIMAL))
    *sections, key = dotted.split(".")
    place = content
    for section in sections:
        place = place.setdefault(section, {})
    if value is None:
        del place[key]
    else:
        place[key] = value
    return content


def test_defaults(tmp_path):
    settings = load_settings(write(tmp_path, MINIMAL))
    assert settings.sales.path == [str(tmp_path / "sales.csv")]
    assert (settings.sales.period, settings.sales.price_rule, settings.sales.missing_periods) == (
        "week",
        "unit_value",
        "auto",
    )
    assert settings.sales.controls == []
    assert (settings.fit.engine, settings.fit.likelihood, settings.fit.preset, settings.fit.min_periods) == (
        "natural_gradient",
        "negative_binomial",
        "default",
        8,
    )
    assert (settings.schedule.cron, settings.schedule.timezone, settings.keep) == ("0 6 * * 1", "UTC", 8)
    assert settings.warehouse == str(tmp_path / "data" / "warehouse.duckdb")
    assert settings.published == tmp_path / "data" / "elasticity.duckdb"


def test_relative_paths_start_at_the_files_folder_and_absolute_ones_stay(tmp_path, monkeypatch):
    content = changed("sales.path", ["a/*.csv", "/b/*.parquet"]) | {"published": "/c/elasticity.duckdb"}
    content["sales"]["roots"] = ["in", "/c"]
    monkeypatch.chdir("/")
    monkeypatch.setenv("ELASTICITY_CONFIG", str(write(tmp_path, content)))
    settings = load_settings()
    assert settings.sales.path == [str(tmp_path / "a/*.csv"), "/b/*.parquet"]
    assert settings.sales.roots == [str(tmp_path), str(tmp_path / "in"), "/c"]
    assert settings.published == Path("/c/elasticity.duckdb")


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ELASTICITY_FIT__ENGINE", "svi")
    monkeypatch.setenv("ELASTICITY_FIT__SVI__MAX_STEPS", "7")
    monkeypatch.setenv("ELASTICITY_SALES__CONTROLS", '["display"]')
    settings = load_settings(write(tmp_path, changed("fit.min_periods", 3)))
    assert (settings.fit.engine, settings.fit.svi.max_steps, settings.fit.min_periods) == ("svi", 7, 3)
    assert settings.sales.controls == ["display"]
    assert settings.sales.columns.product == "sku"


def test_the_projects_own_file_is_valid():
    settings = load_settings(ROOT / "elasticity.yaml")
    assert settings.sales.controls == ["display", "mailer"]


def test_ray_is_asked_for_only_where_it_is_installed(tmp_path, monkeypatch):
    file = write(tmp_path, changed("executor", "ray"))
    found = {"ray": None}
    monkeypatch.setattr(settings_module, "find_spec", found.get)
    with pytest.raises(
        SettingsError, match=r"executor: .* pip install 'elasticity_assets\[ray\]'$"
    ) as caught:
        load_settings(file)
    assert "\n" not in str(caught.value)
    found["ray"] = "there"
    assert load_settings(file).executor == "ray"


MISTAKES = {
    "unknown executor": (changed("executor", "dask"), "executor: "),
    "no CPU": (changed("ray.cpus", 0), "ray.cpus: "),
    "less than no GPU": (changed("ray.gpus", -1), "ray.gpus: "),
    "one and a half GPUs": (changed("ray.gpus", 1.5), "ray.gpus: 1.5 GPUs: several are whole ones"),
    "no address": (changed("ray.address", ""), "ray.address: "),
    "unknown key": (changed("colour", 1), "unknown key colour"),
    "unknown nested key": (changed("sales.colums", {}), "unknown key sales.colums"),
    "unknown column": (changed("sales.columns.unit", "x"), "unknown key sales.columns.unit"),
    "unknown option": (changed("fit.svi.steps", 5), "unknown key fit.svi.steps"),
    "unknown section key": (changed("fit.motor", "x"), "unknown key fit.motor"),
    "no sales": ({"keep": 3}, "key sales is missing"),
    "no product": (changed("sales.columns.product", None), "key sales.columns.product is missing"),
    "no price": (changed("sales.columns.price", None), "sales.columns: name a price or a revenue column"),
    "no path": (changed("sales.path", []), "sales: name the sales' files in `path`"),
    "wrong period": (
        changed("sales.period", "year"),
        "sales.period: Input should be 'day', 'week', 'month' or 'quarter'",
    ),
    "wrong engine": (changed("fit.engine", "ols"), "fit.engine: "),
    "wrong type": (changed("fit.min_periods", "many"), "fit.min_periods: "),
    "too small": (changed("keep", 0), "keep: "),
    "wrong pattern": (
        changed("sales.not_products", ["("]),
        "sales.not_products: '(' is not a regular expression",
    ),
    "wrong zone": (changed("schedule.timezone", "Mars"), "schedule.timezone: 'Mars' is no time zone"),
    "wrong zone of sales": (changed("sales.timezone", "Mars"), "sales.timezone: 'Mars' is no time zone"),
    "one mark for thousands and decimals": (
        changed("sales.thousands", "."),
        "sales.thousands: '.' is the decimal mark; set sales.decimal to ',', or leave this out",
    ),
    "a discount off a revenue": (
        {"sales": MINIMAL["sales"] | {"columns": {**WITHOUT_PRICE, "revenue": "amount", "discount": "off"}}},
        "sales.columns: a discount is taken off a price; name the list price's column as price",
    ),
    "a year beside days": (
        {"sales": MINIMAL["sales"] | {"columns": {**COLUMNS, "year": "year"}, "period": "day"}},
        "sales.period: a year goes with numbers of weeks, months or quarters; remove sales.columns.year",
    ),
    "a year beside dates": (
        {"sales": MINIMAL["sales"] | {"columns": {**COLUMNS, "year": "year"}, "date_format": "%d.%m.%Y"}},
        "sales.date_format: dates hold their year; remove this or sales.columns.year",
    ),
    "wrong cron": (changed("schedule.cron", "monday"), "schedule.cron: 'monday' is not a cron schedule"),
    "unknown country": (
        changed("sales.holidays", "XX"),
        "sales.holidays: no public holidays are known of 'XX'; give a country's code, such as US",
    ),
    "unknown part of a country": (
        changed("sales.holidays", "DE-ZZ"),
        "sales.holidays: no public holidays are known of 'DE-ZZ'",
    ),
    "a country in lower case": (changed("sales.holidays", "us"), "sales.holidays: no public holidays"),
    "Norway without quotes": (
        changed("sales.holidays", False),
        "sales.holidays: YAML reads NO as false; write Norway's code in quotes",
    ),
    "holidays twice": (
        {"sales": MINIMAL["sales"] | {"holidays": "US", "controls": ["Holidays"]}},
        "sales.holidays: the control 'Holidays' of the files has the name of one that sales.holidays adds",
    ),
    "a column with the index's name": (
        changed("sales.controls", ["category_price_index"]),
        "sales.controls: the control 'category_price_index' of the files has the name of one that every fit adds",
    ),
    "a column with the name of the prices' season": (
        changed("sales.controls", ["price_season"]),
        "sales.controls: the control 'price_season' of the files has the name of one that fit.season adds",
    ),
    "a column with a lag's name": (
        changed("sales.controls", ["Price_lag_1"]),
        "sales.controls: the control 'Price_lag_1' of the files has the name of one that fit.lags adds",
    ),
    "a zone twice": (
        {"sales": MINIMAL["sales"] | {"columns": {**COLUMNS, "zone": "a"}, "zones": {"column": "b"}}},
        "sales: zones.column 'b' and columns.zone 'a' say the same; keep one",
    ),
    "covariates of no zone": (
        changed("sales.zones", {"covariates": ["income"]}),
        "sales: zones.covariates are what is known of zones; name the zones' column too, such as zones.column: region",
    ),
    "a covariate twice": (
        changed("sales.zones", {"column": "region", "covariates": ["income", "Income"]}),
        "sales.zones.covariates: 'Income' is named twice; columns match without regard to case",
    ),
    "a zone that is the product": (
        changed("sales.zones", {"column": COLUMNS["product"]}),
        "sales.columns: product and zone are both the column",
    ),
    "unknown key of zones": (changed("sales.zones", {"columns": "x"}), "unknown key sales.zones.columns"),
    "zones with svi": (
        {"sales": MINIMAL["sales"] | {"zones": {"column": "region"}}, "fit": {"engine": "svi"}},
        "sales.columns.zone: fit.engine: svi knows no zones; set fit.engine: natural_gradient and no fit.preset, "
        "or name no zone",
    ),
    "zones with the preset of the article": (
        {"sales": MINIMAL["sales"] | {"zones": {"column": "region"}}, "fit": {"preset": "article"}},
        "sales.columns.zone: fit.preset: article knows no zones",
    ),
    "a year of lags": (changed("fit.lags", 52), "fit.lags: Input should be less than or equal to 26"),
    "slow demand with svi": (
        {**MINIMAL, "fit": {"engine": "svi", "slow_demand": True}},
        "fit: slow_demand is not for the engine svi; set slow_demand: false, or engine: natural_gradient",
    ),
    "an instrument with the preset of the article": (
        {**MINIMAL, "fit": {"preset": "article", "instrument": "use"}},
        "fit: instrument: use is not for the preset article; set instrument: report, or preset: default",
    ),
    "season with svi": (
        {**MINIMAL, "fit": {"engine": "svi", "season": True}},
        "fit: season is not for the engine svi; set season: false, or engine: natural_gradient",
    ),
    "unknown protocol": (
        changed("arrays", "s4://bucket/arrays"),
        "arrays: 's4' is no protocol that fsspec knows; give a folder, or a URL such as s3://bucket/folder",
    ),
    "no folder": (changed("arrays", ""), "arrays: "),
    "long delimiter": (changed("sales.delimiter", "\\t"), "sales.delimiter: "),
    "one name for both databases": (
        changed("published", "mart/warehouse.duckdb"),
        "warehouse and published name the databases 'warehouse' and 'warehouse'",
    ),
    "a name of DuckDB's own": (changed("published", "memory.duckdb"), "give the files different names"),
    "not a mapping": ("- sales\n", "expected keys such as `sales:`, found list"),
    "empty": ("", "expected keys such as `sales:`, found NoneType"),
    "not YAML": ("sales: [\n", "cannot be read as YAML: "),
    "a key that is no text": ("1: 2\n", ""),
    "two mistakes": (changed("keep", 0) | {"colour": 1}, "unknown key colour"),
}


@pytest.mark.parametrize(("content", "reason"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_that_names_file_and_key(tmp_path, content, reason):
    file = write(tmp_path, content)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert reason in message
    assert "\n" not in message


def test_a_missing_or_unreadable_file_says_what_to_do(tmp_path):
    with pytest.raises(SettingsError, match="elasticity init PATH"):
        load_settings(tmp_path / "none.yaml")
    file = tmp_path / "latin.yaml"
    file.write_bytes("sales: Käse".encode("latin-1"))
    with pytest.raises(SettingsError, match=re.escape(f"{file}: line 1: cannot be read")):
        load_settings(file)
    with pytest.raises(SettingsError, match="is a folder; name the file"):
        load_settings(tmp_path)


def test_a_wrong_value_in_the_environment_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("ELASTICITY_KEEP", "lots")
    with pytest.raises(SettingsError, match="keep: ") as caught:
        load_settings(write(tmp_path, MINIMAL))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [("ELASTICITY_SALES__CONTROLS", "display"), ("ELASTICITY_FIT", "svi")]
)
def test_a_list_or_section_that_is_no_json_in_the_environment_is_one_line(tmp_path, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(
        SettingsError, match=f"environment: {name}: write lists and sections as JSON"
    ) as caught:
        load_settings(write(tmp_path, MINIMAL))
    assert "\n" not in str(caught.value)


def test_the_column_of_zones_is_named_in_either_place(tmp_path):
    of_zones = {"columns": {**COLUMNS, "store": "shop"}, "zones": {"column": "shop", "covariates": "income"}}
    named = load_settings(write(tmp_path, {"sales": MINIMAL["sales"] | of_zones})).sales
    assert (named.columns.zone, named.columns.store, named.zones.covariates) == ("shop", "shop", ["income"])
    of_columns = {
        "columns": {**COLUMNS, "store": "shop", "zone": "shop"},
        "zones": {"covariates": ["income"]},
    }
    assert load_settings(write(tmp_path, {"sales": MINIMAL["sales"] | of_columns})).sales == named


def test_holidays_of_a_country_or_a_part_and_a_column_of_that_name_alone(tmp_path):
    for region in ("US", "DE-BY", "NO", "GB-SCT"):
        assert load_settings(write(tmp_path, changed("sales.holidays", region))).sales.holidays == region
    alone = load_settings(write(tmp_path, changed("sales.controls", ["holidays"])))
    assert (alone.sales.controls, alone.sales.holidays) == (["holidays"], None)


@pytest.mark.parametrize("asked", [True, False])
def test_the_key_of_the_price_index_that_is_always_there_is_warned_of(tmp_path, caplog, asked):
    load_settings(write(tmp_path, MINIMAL))
    assert not caplog.messages
    load_settings(write(tmp_path, changed("sales.category_price_index", asked)))
    assert caplog.messages == [
        "sales.category_price_index: has no effect any more, the index is always there; remove the key"
    ]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"larger": "A"}, "write a rule as {larger: A, not_cheaper_per_unit_than: B}"),
        ({"larger": "A", "not_cheaper_per_unit_than": "B", "by_at_least": 0.1}, "write a rule as"),
        ({"larger": 123, "not_cheaper_per_unit_than": "B"}, "write '123' in quotes"),
        ({"cheaper": "A", "than": "A"}, "it names the same twice"),
        ({"cheaper": "A", "than": "B", "by_at_least": 0.2, "by_at_most": 0.1}, "less than by_at_least"),
    ],
)
def test_a_pricing_rule_that_is_none_is_refused_in_one_line(tmp_path, rule, why):
    with pytest.raises(SettingsError, match=re.escape(why)) as caught:
        load_settings(write(tmp_path, MINIMAL | {"pricing": {"groups": [rule]}}))
    assert "\n" not in str(caught.value)


def test_pricing_rules_bound_one_price_by_another(tmp_path):
    groups = [
        {"larger": "A", "not_cheaper_per_unit_than": "B"},
        {"larger": "A", "not_dearer_per_unit_than": "B", "times": 2},
        {"cheaper": "A", "than": "B", "by_at_least": 0.1, "by_at_most": 0.25},
    ]
    rules = load_settings(write(tmp_path, MINIMAL | {"pricing": {"groups": groups}})).pricing.groups
    assert [rule.pairs for rule in rules] == [[("A", "B")]] * 3
    assert [rule.bounds for rule in rules] == [(1.0, float("inf")), (0.0, 2.0), (0.75, 0.9)]


def test_the_document_names_every_key():
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    def keys(section: type, prefix: str = "") -> list[str]:
        """Keys of a pydantic model, maybe an optional one or one of a list, or of an engine's dataclass."""
        section = next((inner for inner in get_args(section) if hasattr(inner, "model_fields")), section)
        if hasattr(section, "model_fields"):
            fields = {name: field.annotation for name, field in section.model_fields.items()}
        elif dataclasses.is_dataclass(section):
            fields = {field.name: None for field in dataclasses.fields(section)}
        else:
            return [prefix.removesuffix(".")]
        return [key for name, inner in fields.items() for key in keys(inner, f"{prefix}{name}.")]

    documented = set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))
    assert documented == set(keys(Settings))


def test_warehouses_in_one_folder_keep_their_arrays_apart() -> None:
    settings = load_settings(ROOT / "elasticity.yaml")
    other = settings.model_copy(update={"warehouse": str(settings.warehouse_file.with_name("other.duckdb"))})
    assert other.arrays_folder != settings.arrays_folder
    assert Path(other.arrays_folder).parent == Path(settings.arrays_folder).parent


def test_arrays_lie_beside_the_warehouse_in_a_folder_or_at_a_url(tmp_path):
    def folder(arrays: str | None) -> str:
        return load_settings(write(tmp_path, MINIMAL | {"arrays": arrays})).arrays_folder

    assert folder(None) == str(tmp_path / "data" / "warehouse.arrays")
    assert folder("stored/arrays") == str(tmp_path / "stored" / "arrays")
    assert folder("/stored") == "/stored"
    assert folder("s3://bucket/elasticity/arrays") == "s3://bucket/elasticity/arrays"


def test_a_url_whose_package_is_missing_says_how_to_install_it(tmp_path):
    file = write(tmp_path, MINIMAL | {"arrays": "s3://bucket/arrays"})
    program = f"""
import sys
from pathlib import Path
sys.modules["s3fs"] = None  # any import of it raises ImportError
from elasticity_assets.settings import SettingsError, load_settings
try:
    load_settings(Path({str(file)!r}))
except SettingsError as error:
    print(error)
"""
    said = subprocess.check_output([sys.executable, "-W", "error", "-c", program], text=True, timeout=120)
    assert said == (f"{file}: arrays: s3:// needs one more package: pip install 'elasticity_assets[s3]'\n")


def test_a_password_in_a_url_is_refused_and_not_repeated(tmp_path):
    with pytest.raises(SettingsError, match="arrays: a password does not belong in a URL") as caught:
        load_settings(write(tmp_path, MINIMAL | {"arrays": "s3://key:hidden@bucket/arrays"}))
    assert "hidden" not in str(caught.value)


def test_a_ducklake_is_named_by_its_catalog(tmp_path: Path) -> None:
    catalog = "ducklake:postgres:host=catalog dbname=elasticity"
    settings = load_settings(write(tmp_path, {**MINIMAL, "warehouse": catalog, "ducklake_files": "lake"}))
    assert settings.on_ducklake
    assert (settings.warehouse, settings.ducklake_files) == (catalog, str(tmp_path / "lake"))
    assert settings.own_folder == tmp_path / "data"


@pytest.mark.parametrize(
    "files", ["gs://bucket/lake", "s3://key:hunter2@bucket/lake", "s3://key:hunt/hunter2@bucket/lake"]
)
def test_a_ducklakes_files_are_in_a_folder_or_s3(tmp_path: Path, files: str) -> None:
    with pytest.raises(SettingsError, match="ducklake_files: give a folder, or s3://") as error:
        load_settings(write(tmp_path, changed("ducklake_files", files)))
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("warehouse", "why"),
    [
        ("ducklake:lake.ducklake", "has to be in PostgreSQL"),
        ("ducklake:postgres:host=catalog password=hunter2", "holds a password"),
        ("ducklake:postgres:postgresql://me:hunter2@catalog/elasticity", "holds a password"),
        ("ducklake:postgres:host=catalog PASSWORD=hunter2", "holds a password"),
        ("ducklake:postgres:host=catalog password = 'hunter2'", "holds a password"),
        ("ducklake:postgres:host=catalog sslpassword=hunter2", "holds a password"),
        ("ducklake:postgres:postgresql://me:hun/ter2hunter2@catalog/elasticity", "holds a password"),
        ("ducklake:postgres:postgresql://me:hunter2%40%2F@catalog/elasticity", "holds a password"),
        ("ducklake:postgres:postgresql://me%3Ahunter2@catalog/elasticity", "holds a password"),
        ("ducklake:postgres:postgresql://catalog/elasticity?pass%77ord=hunter2", "holds a password"),
        ("ducklake:postgres://me:hunter2@catalog/elasticity", "holds a password"),
        ("ducklake:postgres:host=catalog passwort hunter2", "cannot be read as a connection string"),
        ("ducklake:mysql:host=catalog password=hunter2", "has to be in PostgreSQL"),
        ("postgres:host=catalog password=hunter2", "holds a password"),
    ],
)
def test_a_ducklake_needs_postgresql_and_holds_no_secret(tmp_path: Path, warehouse: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as error:
        load_settings(write(tmp_path, changed("warehouse", warehouse)))
    assert "hunter2" not in str(error.value)


TEXTS = {
    "a key twice": ("sales:\n  path: a\nkeep: 3\nkeep: 4\n", "line 4: key keep is there already, on line 3"),
    "a key of a section twice": (
        "sales:\n  path: a\n  path: b\n",
        "line 3: key path is there already, on line 2",
    ),
    "no YAML": ("sales: [\n  path: a\n  b: c\n", "cannot be read as YAML: "),
    "a tab": ("sales:\n\tpath: a\n", "line 2, column 1: cannot be read as YAML"),
    "a control character": ("sales: \x00\n", "cannot be read as YAML: "),
    "memory that is no size": (
        changed("warehouse_memory", "lots"),
        "warehouse_memory: 'lots' is no size; write one",
    ),
    "little memory": (
        changed("warehouse_memory", "1MB"),
        "warehouse_memory: '1MB' is too little; give 500MB or more",
    ),
    "one file for both databases": (
        changed("warehouse", "./a.duckdb") | {"published": "a.duckdb"},
        "warehouse and published are both 'a.duckdb'; give each a file of its own",
    ),
    "a column for two": (
        changed("sales.columns.price", "Qty"),
        "units and price are both the column 'Qty'",
    ),
    "a control that is a price": (
        {"sales": MINIMAL["sales"] | {"controls": [MINIMAL["sales"]["columns"]["price"]]}},
        "is column price already; remove it here",
    ),
    "a control twice": (
        {"sales": MINIMAL["sales"] | {"controls": ["display", "Display"]}},
        "'Display' is control number 1 already; remove it here",
    ),
    "published in the arrays' folder": (
        changed("arrays", "data"),
        "data has to be a folder for it alone, and published is at",
    ),
    "a folder for a file": (
        changed("published", "/tmp"),
        "published: /tmp is a folder; name a file, such as",
    ),
    "a file for a folder": (changed("arrays", "elasticity.yaml"), "elasticity.yaml is a file; name a folder"),
}


@pytest.mark.parametrize(("content", "reason"), TEXTS.values(), ids=TEXTS.keys())
def test_a_mistake_names_the_line_or_the_key_and_what_to_do(tmp_path, content, reason):
    test_a_mistake_is_one_line_that_names_file_and_key(tmp_path, content, reason)


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path):
    file = tmp_path / "latin.yaml"
    file.write_bytes("sales:\n  path: Käse\n".encode("latin-1"))
    with pytest.raises(SettingsError, match="line 2: cannot be read as UTF-8; save the file as UTF-8"):
        load_settings(file)


@pytest.mark.parametrize(
    "address",
    [
        "postgres:host=shop Password=hunter2",
        "mysql:host=shop passwd=hunter2",
        "md:shop?motherduck_token=hunter2",
    ],
)
def test_a_table_of_sales_is_named_without_secrets(tmp_path: Path, address: str) -> None:
    content = changed("sales.table", {"database": address, "name": "main.weekly"})
    del content["sales"]["path"]
    with pytest.raises(SettingsError, match="holds a password") as error:
        load_settings(write(tmp_path, content))
    assert "hunter2" not in str(error.value)
