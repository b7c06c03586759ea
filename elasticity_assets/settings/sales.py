"""Where the sales are, and how to read them."""

import logging
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from elasticity_assets.holiday_control import HOLIDAYS, check_region
from elasticity_assets.inference.made_controls import MADE_BY
from elasticity_assets.settings.addresses import without_password
from elasticity_assets.settings.section import Strict, StringList, TimeZone, as_list

log = logging.getLogger(__name__)


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


class Columns(Strict):
    """The sales files' own column names. Column names match without regard to case."""

    product: str
    period: str
    units: str
    price: str | None = None
    revenue: str | None = None
    category: str | None = None
    store: str | None = None
    zone: str | None = None
    regular_price: str | None = None
    description: str | None = None
    year: str | None = None
    discount: str | None = None
    cost: str | None = None
    randomized: str | None = None
    substitutes: str | None = None

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
            if other != role and {other, role} != {"store", "zone"}:  # each store may be a zone
                raise ValueError(f"{other} and {role} are both the column {column!r}; name each one's own")
        return self


class Zones(Strict):
    """Where prices are set by zone: the zone's column, and what is known of zones."""

    column: str | None = Field(default=None, min_length=1)
    covariates: StringList = Field(default_factory=list)

    @field_validator("covariates")
    @classmethod
    def _each_once(cls, covariates: list[str]) -> list[str]:
        named: set[str] = set()
        for name in covariates:
            if name.strip().casefold() in named:
                raise ValueError(f"{name!r} is named twice; columns match without regard to case")
            named.add(name.strip().casefold())
        return covariates


class SalesTable(Strict):
    """A table of sales that exists already, in a database that DuckDB reads."""

    database: Annotated[
        str,
        # A file says itself whether it is SQLite's.
        BeforeValidator(lambda value: value.removeprefix("sqlite:") if isinstance(value, str) else value),
        Field(min_length=1),
        AfterValidator(without_password),
    ]
    name: str = Field(min_length=1)


class Join(Strict):
    """A table beside the sales, whose columns are joined to theirs."""

    path: Annotated[list[str], BeforeValidator(as_list), Field(min_length=1)]
    on: Annotated[list[str], BeforeValidator(as_list), Field(min_length=1)]
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

    path: Annotated[list[str], BeforeValidator(as_list)] = Field(default_factory=list)
    table: SalesTable | None = None
    asset: Annotated[list[str], BeforeValidator(as_list)] = Field(default_factory=list)
    join: list[Join] = Field(default_factory=list)
    roots: StringList = Field(default_factory=list)
    sheet: str | None = None
    columns: Columns
    zones: Zones = Zones()
    period: Literal["day", "week", "month", "quarter"] = "week"
    date_format: str | None = None
    first_week: Literal["iso", "january_1"] = "iso"
    timezone: TimeZone = "UTC"
    encoding: str = "utf-8"
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    discount_unit: Literal["percent", "fraction"] | None = None
    not_products: StringList = Field(default_factory=list)
    max_rejected: float = Field(default=0.02, ge=0.0, le=1.0)
    price_rule: Literal["unit_value", "median"] = "unit_value"
    incomplete_periods: Literal["leave_out", "keep"] = "leave_out"
    missing_periods: Literal["auto", "truncated", "zero", "unobserved"] = "auto"
    controls: StringList = Field(default_factory=list)
    attributes: StringList = Field(default_factory=list)
    holidays: Annotated[str | None, BeforeValidator(_not_norway)] = None
    category_price_index: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _zones_column_is_a_column(cls, values: Any) -> Any:
        """Let `zones.column` say the same as `columns.zone`."""
        zones, columns = (
            values.get(key) if isinstance(values, dict) else None for key in ("zones", "columns")
        )
        if not isinstance(zones, dict) or not isinstance(columns, dict) or zones.get("column") is None:
            return values
        if columns.get("zone") is not None:
            raise ValueError(
                f"zones.column {zones['column']!r} and columns.zone {columns['zone']!r} say the same; keep one"
            )
        others = {key: value for key, value in zones.items() if key != "column"}
        return {**values, "zones": others, "columns": {**columns, "zone": zones["column"]}}

    @model_validator(mode="after")
    def _covariates_are_of_zones(self) -> "SalesSettings":
        if self.zones.covariates and self.columns.zone is None:
            raise ValueError(
                "zones.covariates are what is known of zones; name the zones' column too, such as zones.column: region"
            )
        return self

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
    def numbers(self) -> dict[str, list[str]]:
        """The columns beside the sales that hold numbers, or flags such as `Promo Type=Coupon`, by their setting."""
        return {"controls": self.controls, "zones.covariates": self.zones.covariates}

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
        for adds, is_added in MADE_BY.items():
            _without(controls, adds, is_added)
        return controls

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
