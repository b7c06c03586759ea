"""Settings: one YAML file and the environment, validated.

`ELASTICITY_CONFIG` names the file (default ./elasticity.yaml); `ELASTICITY_FIT__ENGINE=svi` overrides
`fit.engine`, and so on. Relative paths start at the file's folder.
"""

import logging
import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as EnvironmentValueError

from elasticity_assets.holiday_control import HOLIDAYS, check_region
from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX
from elasticity_assets.inference.options import NaturalGradientOptions, NutsOptions, SviOptions
from elasticity_assets.inference.price_lags import is_lag
from elasticity_assets.yaml_file import YamlFileError, read_yaml

log = logging.getLogger(__name__)

DEFAULT_FILE = "elasticity.yaml"

DUCKLAKE = "ducklake:postgres:"
"""How the settings name a warehouse that is a DuckLake: before the connection string of its catalog."""

DEFAULT_WAREHOUSE_MEMORY = 4 * 10**9
"""Bytes."""

RESERVED_NAMES = frozenset({"", "memory", "system", "temp"})
"""Names that DuckDB gives databases of its own."""


class SettingsError(Exception):
    """A mistake in the settings, told in one line."""


def _as_list(value: Any) -> Any:
    """Let a single value stand for a list of one, and nothing for an empty list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def _not_norway(value: Any) -> Any:
    """Tell who wrote the code NO without quotes what YAML made of it."""
    if value is False:
        raise ValueError("YAML reads NO as false; write Norway's code in quotes, 'NO'")
    return value


def _without(controls: list[str], adds: str, is_added: Callable[[str], bool]) -> list[str]:
    """Refuse a column of the files that has the name of a control that is added to them."""
    for name in controls:
        if is_added(name.strip().casefold()):
            raise ValueError(
                f"the control {name!r} of the files has the name of one that {adds} adds; "
                "rename the column in the files"
            )
    return controls


def _without_password(address: str) -> str:
    """Refuse secrets in a database's address; no message repeats it."""
    told = ValueError("holds a password; give it in PGPASSWORD or in libpq's password file, and not here")
    if _SECRET.search(unquote(address)):
        raise told
    kind, _, connection = address.removeprefix("ducklake:").partition(":")
    if kind not in ("postgres", "postgresql") or find_spec("psycopg2") is None:
        return address
    from psycopg2 import ProgrammingError  # noqa: PLC0415
    from psycopg2.extensions import parse_dsn  # noqa: PLC0415

    try:
        known = parse_dsn(f"{kind}:{connection}" if connection.startswith("//") else connection)
    except ProgrammingError:  # it may repeat what follows the mistake
        raise ValueError(
            "cannot be read as a connection string of PostgreSQL's; write it as in host=catalog dbname=elasticity"
        ) from None
    if {"password", "sslpassword"} & known.keys():
        raise told
    return address


_SECRET = re.compile(r"(password|passwd|pwd|token|secret)\s*=|://[^@]*:[^@]*@", re.IGNORECASE)
"""What stands in an address that holds a password, whichever database it is of."""


StringList = Annotated[list[str], BeforeValidator(_as_list)]


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone; use a name such as Europe/Berlin")
    return name


TimeZone = Annotated[str, AfterValidator(_timezone)]


class Strict(BaseModel):
    """A section of the settings; unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(Strict):
    """The sales files' own column names. Column names match without regard to case."""

    product: str
    period: str
    units: str
    price: str | None = None
    revenue: str | None = None
    category: str | None = None
    store: str | None = None
    regular_price: str | None = None
    description: str | None = None
    year: str | None = None
    discount: str | None = None
    cost: str | None = None

    @model_validator(mode="after")
    def _some_price(self) -> "Columns":
        if self.price is None and self.revenue is None:
            raise ValueError("name a price or a revenue column")
        if self.discount is not None and self.price is None:
            raise ValueError("a discount is taken off a price; name the list price's column as price")
        return self

    @model_validator(mode="after")
    def _each_its_own(self) -> "Columns":
        roles: dict[str, str] = {}
        for role, column in self:
            # A product's description may be its code, or its category.
            if role == "description" or column is None:
                continue
            other = roles.setdefault(column.strip().casefold(), role)
            if other != role:
                raise ValueError(f"{other} and {role} are both the column {column!r}; name each one's own")
        return self


class SalesTable(Strict):
    """A table of sales that exists already, in a database that DuckDB reads."""

    database: Annotated[
        str,
        # A file says itself whether it is SQLite's.
        BeforeValidator(lambda value: value.removeprefix("sqlite:") if isinstance(value, str) else value),
        Field(min_length=1),
        AfterValidator(_without_password),
    ]
    name: str = Field(min_length=1)


class Join(Strict):
    """A table beside the sales, whose columns are joined to theirs."""

    path: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    on: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    sheet: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _on_is_a_key(cls, values: Any) -> Any:
        """Undo that YAML reads the key `on` as true."""
        if isinstance(values, dict) and True in values:
            return {"on" if key is True else key: value for key, value in values.items()}
        return values


class SalesSettings(Strict):
    """Where the sales are, and how to read them."""

    path: Annotated[list[str], BeforeValidator(_as_list)] = []
    table: SalesTable | None = None
    asset: Annotated[list[str], BeforeValidator(_as_list)] = []
    join: list[Join] = []
    roots: StringList = []
    sheet: str | None = None
    columns: Columns
    period: Literal["day", "week", "month", "quarter"] = "week"
    date_format: str | None = None
    first_week: Literal["iso", "january_1"] = "iso"
    timezone: TimeZone = "UTC"
    encoding: str = "utf-8"
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    discount_unit: Literal["percent", "fraction"] | None = None
    not_products: StringList = []
    max_rejected: float = Field(default=0.02, ge=0.0, le=1.0)
    price_rule: Literal["unit_value", "median"] = "unit_value"
    incomplete_periods: Literal["leave_out", "keep"] = "leave_out"
    missing_periods: Literal["auto", "truncated", "zero", "unobserved"] = "auto"
    controls: StringList = []
    attributes: StringList = []
    holidays: Annotated[str | None, BeforeValidator(_not_norway)] = None
    category_price_index: bool | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "SalesSettings":
        given = [key for key in ("path", "table", "asset") if getattr(self, key)]
        if len(given) != 1 and given != ["table", "asset"]:  # the table that the asset makes
            raise ValueError(
                "name the sales' files in `path`, a table that exists already in `table`, or an asset of your Dagster "
                f"project in `asset`{'; not several' if given else ''}"
            )
        return self

    @property
    def hands_over(self) -> bool:
        """Whether the sales are what an asset hands over, and not a file or table."""
        return bool(self.asset) and self.table is None

    @field_validator("period")
    @classmethod
    def _has_numbers(cls, period: str, info: ValidationInfo) -> str:
        columns = info.data.get("columns")
        if period == "day" and columns is not None and columns.year is not None:
            raise ValueError(
                "a year goes with numbers of weeks, months or quarters; remove sales.columns.year"
            )
        return period

    @field_validator("date_format")
    @classmethod
    def _has_no_year(cls, date_format: str | None, info: ValidationInfo) -> str | None:
        columns = info.data.get("columns")
        if date_format is not None and columns is not None and columns.year is not None:
            raise ValueError("dates hold their year; remove this or sales.columns.year")
        return date_format

    @field_validator("thousands")
    @classmethod
    def _is_not_decimal(cls, thousands: str | None, info: ValidationInfo) -> str | None:
        if thousands is not None and thousands == info.data.get("decimal"):
            other = "," if thousands == "." else "."
            raise ValueError(
                f"{thousands!r} is the decimal mark; set sales.decimal to {other!r}, or leave this out"
            )
        return thousands

    @field_validator("not_products")
    @classmethod
    def _are_patterns(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        return patterns

    @field_validator("controls")
    @classmethod
    def _are_not_added(cls, controls: list[str]) -> list[str]:
        # Whatever else bore these names would be published as what they are.
        _without(controls, "every fit", lambda name: name == CATEGORY_PRICE_INDEX)
        return _without(controls, "fit.lags", is_lag)

    @field_validator("category_price_index")
    @classmethod
    def _is_always_there(cls, asked: bool | None) -> bool | None:
        if asked is not None:
            log.warning(
                "sales.category_price_index: has no effect any more, the index is always there; remove the key"
            )
        return asked

    @field_validator("controls")
    @classmethod
    def _are_no_sales(cls, controls: list[str], info: ValidationInfo) -> list[str]:
        columns = info.data.get("columns")
        named = dict(columns) if columns else {}
        taken = {
            named[role].strip().casefold(): f"column {role}"
            for role in ("product", "period", "year", "units", "price", "revenue", "discount")
            if named.get(role)
        }
        for number, name in enumerate(controls, start=1):
            other = taken.setdefault(name.strip().casefold(), f"control number {number}")
            if other != f"control number {number}":
                raise ValueError(f"{name!r} is {other} already; remove it here")
        return controls

    @field_validator("holidays")
    @classmethod
    def _is_region(cls, region: str | None, info: ValidationInfo) -> str | None:
        if region is not None:
            check_region(region)
            _without(info.data.get("controls", []), "sales.holidays", lambda name: name == HOLIDAYS)
        return region


class FitSettings(Strict):
    """How elasticities are fitted."""

    engine: Literal["natural_gradient", "svi", "nuts"] = "natural_gradient"
    likelihood: Literal["negative_binomial", "poisson", "auto"] = "negative_binomial"
    preset: Literal["default", "article"] = "default"
    min_periods: int = Field(default=8, ge=1)
    lags: int = Field(default=4, ge=0, le=26)
    robust: bool = True
    serial_correlation: bool = True
    slow_demand: bool = True
    season: Literal["auto"] | bool = "auto"
    svi: SviOptions = SviOptions()
    natural_gradient: NaturalGradientOptions = NaturalGradientOptions()
    nuts: NutsOptions = NutsOptions()

    @model_validator(mode="after")
    def _svi_knows_neither_slow_demand_nor_season(self) -> "FitSettings":
        asked = self.model_fields_set if self.engine == "svi" else set()
        for name in ("slow_demand", "season"):
            if name in asked and getattr(self, name) is True:
                raise ValueError(
                    f"{name} is not for the engine svi; set {name}: false, or engine: natural_gradient"
                )
        return self


_CRON_FIELDS = ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))  # minute, hour, day, month, weekday


def _is_simple_cron(cron: str) -> bool:
    """Whether each field is a number or a star, so that Dagster, which is slow to import, need not be asked."""
    return len(found := cron.split(" ")) == len(_CRON_FIELDS) and all(
        field == "*" or (field.isdecimal() and field.isascii() and low <= int(field) <= high)
        for field, (low, high) in zip(found, _CRON_FIELDS, strict=True)
    )


def _cron(cron: str) -> str:
    if _is_simple_cron(cron):
        return cron
    from dagster._utils.schedules import is_valid_cron_schedule  # noqa: PLC0415

    if not is_valid_cron_schedule(cron):
        raise ValueError(f"{cron!r} is not a cron schedule such as '0 6 * * 1'")
    return cron


Cron = Annotated[str, AfterValidator(_cron)]


class ScheduleSettings(Strict):
    """When the weekly refit starts."""

    cron: Cron = "0 6 * * 1"
    timezone: TimeZone = "UTC"
    max_age_days: float = Field(default=8.0, ge=1.0)
    keep_runs_days: int = Field(default=365, ge=1, le=36500)


class CrossCheckSettings(Strict):
    """When and how much is held against NUTS."""

    cron: Cron = "0 7 1 * *"
    categories: int = Field(default=3, ge=1)


def _warehouse(warehouse: str) -> str:
    """Refuse other catalogs than PostgreSQL's, and secrets."""
    if warehouse.startswith("ducklake:") and not warehouse.startswith(DUCKLAKE):
        raise ValueError(f"a DuckLake's catalog has to be in PostgreSQL: {DUCKLAKE}dbname=... host=...")
    _without_password(warehouse)
    if warehouse.startswith(DUCKLAKE) and find_spec("psycopg2") is None:
        raise ValueError("a DuckLake needs more packages; pip install 'elasticity_assets[ducklake]'")
    return warehouse


def _in_s3(files: str) -> str:
    """Refuse object stores that DuckDB is not set up for here."""
    if _is_url(files) and (not files.startswith("s3://") or _SECRET.search(unquote(files))):
        raise ValueError("give a folder, or s3://bucket/folder without credentials")
    return files


def _store(arrays: str) -> str:
    """Refuse a URL that no installed package can open, or that tells a password to whoever reads a log."""
    if not _is_url(arrays):
        return arrays
    if _SECRET.search(unquote(arrays)):
        raise ValueError("a password does not belong in a URL; leave credentials to the environment")
    import fsspec  # noqa: PLC0415  (it takes long, and most projects have a folder)

    protocol = arrays.split("://", 1)[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        why = "pip install 'elasticity_assets[s3]'" if protocol in ("s3", "s3a") else str(error)
        raise ValueError(f"{protocol}:// needs one more package: {why}") from None
    except ValueError:
        raise ValueError(
            f"{protocol!r} is no protocol that fsspec knows; give a folder, or a URL such as s3://bucket/folder "
            "with `pip install 'elasticity_assets[s3]'`"
        ) from None
    return arrays


def _is_url(path: str) -> bool:
    return "://" in path


class RaySettings(Strict):
    """The Ray cluster that categories are fitted on, and what a category's fit asks it for."""

    address: str = Field(default="auto", min_length=1)
    cpus: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    gpus: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)

    @field_validator("gpus")
    @classmethod
    def _whole_or_shared(cls, gpus: float) -> float:
        if gpus > 1.0 and gpus != int(gpus):
            raise ValueError(f"{gpus:g} GPUs: several are whole ones, a fraction shares one")
        return gpus


class Settings(BaseSettings):
    """All settings; paths are absolute once loaded by `load_settings`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="ELASTICITY_", env_nested_delimiter="__"
    )

    sales: SalesSettings
    fit: FitSettings = FitSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    cross_check: CrossCheckSettings = CrossCheckSettings()
    executor: Literal["in_process", "ray"] = "in_process"
    ray: RaySettings = RaySettings()
    warehouse: Annotated[str, AfterValidator(_warehouse)] = "data/warehouse.duckdb"
    ducklake_files: Annotated[str, AfterValidator(_in_s3)] = "data/ducklake"
    warehouse_memory: ByteSize = Field(default=ByteSize(DEFAULT_WAREHOUSE_MEMORY), ge=500 * 10**6)
    published: Path = Path("data/elasticity.duckdb")
    readers: Literal["owner", "group", "everyone"] = "everyone"
    arrays: Annotated[str, Field(min_length=1), AfterValidator(_store)] | None = None
    keep: int = Field(default=8, ge=1)

    @field_validator("executor")
    @classmethod
    def _is_installed(cls, executor: str) -> str:
        if executor == "ray" and find_spec("ray") is None:
            raise ValueError("Ray is not installed; pip install 'elasticity_assets[ray]'")
        return executor

    @model_validator(mode="after")
    def _databases_differ(self) -> "Settings":
        if os.path.normpath(self.warehouse_file) == os.path.normpath(self.published):
            raise ValueError(
                f"warehouse and published are both {str(self.published)!r}; give each a file of its own, such as "
                "data/warehouse.duckdb and data/elasticity.duckdb"
            )
        names = [database_name(file) for file in (self.warehouse_file, self.published)]
        if {name.casefold() for name in names} & RESERVED_NAMES or len({*map(str.casefold, names)}) < len(
            names
        ):
            raise ValueError(
                f"warehouse and published name the databases {names[0]!r} and {names[1]!r}; give the files "
                f"different names, none of them {', '.join(sorted(RESERVED_NAMES))}"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        return env_settings, init_settings

    @property
    def on_ducklake(self) -> bool:
        """Whether the warehouse is a DuckLake, and not a file."""
        return self.warehouse.startswith(DUCKLAKE)

    @property
    def warehouse_file(self) -> Path:
        """The warehouse's file; of a DuckLake, what its file would be beside the published one."""
        return self.published.with_name("warehouse.duckdb") if self.on_ducklake else Path(self.warehouse)

    @property
    def published_mode(self) -> int:
        """Mode of the published file and the reports: what `readers` may do, and nobody may write."""
        return {"owner": 0o400, "group": 0o440, "everyone": 0o444}[self.readers]

    @property
    def own_folder(self) -> Path:
        """Folder for what can be made again, such as compiled programs."""
        return self.warehouse_file.parent

    @property
    def arrays_folder(self) -> str:
        """Folder of the stored arrays, model inputs and posteriors: a path or a URL, else beside the warehouse."""
        return self.arrays or str(self.warehouse_file.with_suffix(".arrays"))

    @property
    def reports(self) -> Path:
        """Folder of the refits' reports, REFIT_ID.html each, and latest.html."""
        return self.published.parent / "reports"


def database_name(file: Path) -> str:
    """Name that DuckDB gives the database in a file: the file's own up to its first dot."""
    return file.name.split(".")[0]


def settings_file() -> Path:
    """Path of the settings file in force, absolute."""
    return Path(os.environ.get("ELASTICITY_CONFIG", DEFAULT_FILE)).absolute()


def load_settings(file: Path | None = None) -> Settings:
    """Read and validate the settings.

    Raises
    ------
    SettingsError
        In one line: which key of which file is wrong and what to do.
    """
    file = file or settings_file()
    try:
        content = read_yaml(file)
    except FileNotFoundError:
        raise SettingsError(
            f"{file}: no such file; `elasticity init PATH` writes one, ELASTICITY_CONFIG names another"
        ) from None
    except YamlFileError as error:
        raise SettingsError(f"{file}: {error}") from None
    return settings_of(content, file.parent, str(file))


def settings_of(content: object, folder: Path, source: str) -> Settings:
    """Validate settings.

    Parameters
    ----------
    content : object
        As YAML has it: keys and sections.
    folder : Path
        Where relative paths start.
    source : str
        Where they stand, for messages.

    Raises
    ------
    SettingsError
        In one line: which key of which source is wrong and what to do.
    """
    if not isinstance(content, dict):
        raise SettingsError(f"{source}: expected keys such as `sales:`, found {type(content).__name__}")
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise SettingsError(f"{source}: {_mistakes(error)}") from None
    except EnvironmentValueError:
        names = [
            name for name in sorted(os.environ) if re.match("ELASTICITY_(?!CONFIG$)", name, re.IGNORECASE)
        ]
        raise SettingsError(
            f"environment: {', '.join(names)}: write lists and sections as JSON, such as '[\"display\"]'"
        ) from None
    except TypeError as error:  # a key that is not a string
        raise SettingsError(f"{source}: {error}") from None
    lake_files = settings.ducklake_files
    sales = _placed_sales(settings.sales, folder)
    arrays = settings.arrays
    placed = settings.model_copy(
        update={
            "sales": sales,
            "arrays": arrays if arrays is None or _is_url(arrays) else str(folder / arrays),
            "warehouse": settings.warehouse if settings.on_ducklake else str(folder / settings.warehouse),
            "ducklake_files": lake_files if _is_url(lake_files) else str(folder / lake_files),
            "published": folder / settings.published,
        }
    )
    if mistake := _misplaced(placed):
        raise SettingsError(f"{source}: {mistake}")
    return placed


def _placed_sales(sales: SalesSettings, folder: Path) -> SalesSettings:
    """Let relative paths start at the settings file's folder, and sales be read from there and `roots`."""

    def placed(paths: list[str]) -> list[str]:
        return [str(folder / path) for path in paths]

    table = sales.table
    if table is not None and is_database_file(table.database):
        table = table.model_copy(update={"database": str(folder / table.database)})
    join = [one.model_copy(update={"path": placed(one.path)}) for one in sales.join]
    roots = [str(folder), *placed(sales.roots)]
    return sales.model_copy(update={"path": placed(sales.path), "table": table, "join": join, "roots": roots})


def is_database_file(address: str) -> bool:
    """Whether a database's address is a file's path, and not a server's such as postgres:dbname=shop."""
    return re.match(r"[a-z]{2,}:", address) is None


def _misplaced(settings: Settings) -> str | None:
    """Say which path is of the wrong kind, or inside a folder whose files are not for others."""
    files = {"published": settings.published}
    if not settings.on_ducklake:
        files["warehouse"] = settings.warehouse_file
    folders = {} if _is_url(settings.arrays_folder) else {"arrays": Path(settings.arrays_folder)}
    if settings.on_ducklake and not _is_url(settings.ducklake_files):
        folders["ducklake_files"] = Path(settings.ducklake_files)
    for key, path in files.items():
        if path.is_dir():
            return f"{key}: {path} is a folder; name a file, such as {path / f'{key}.duckdb'}"
    for key, path in folders.items():
        if path.is_file():
            return f"{key}: {path} is a file; name a folder for it alone"
        for other, inside in {**files, "the reports": settings.reports}.items():
            if Path(os.path.normpath(inside)).is_relative_to(os.path.normpath(path)):
                return (
                    f"{key}: {path} has to be a folder for it alone, and {other} is at {inside}; name another"
                )
    return None


def _mistakes(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "settings"
        if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            parts.append(f"unknown key {key}; remove it or correct its name")
        elif problem["type"] == "missing":
            parts.append(f"key {key} is missing")
        elif problem["type"] in ("byte_size", "byte_size_unit"):
            parts.append(f"{key}: {problem['input']!r} is no size; write one such as 4GB or 800MB")
        elif key == "warehouse_memory" and problem["type"] == "greater_than_equal":
            parts.append(f"{key}: {problem['input']!r} is too little; give 500MB or more, such as 4GB")
        else:
            parts.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts)
