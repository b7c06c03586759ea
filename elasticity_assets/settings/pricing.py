"""What recommended prices are to bring, and the rules that they keep."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from elasticity_assets.settings.section import Strict, as_list


def _is_code(product: Any) -> Any:
    if isinstance(product, int | float):
        raise ValueError(f"product codes are text; write '{product}' in quotes, as the files have it")
    return product


Product = Annotated[str, BeforeValidator(_is_code)]


class PricingRule(Strict):
    """A rule between products' prices, or products whose prices stay: of one of three kinds."""

    larger: Product | None = None
    not_cheaper_per_unit_than: Product | None = None
    not_dearer_per_unit_than: Product | None = None
    times: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    cheaper: Product | None = None
    than: Product | None = None
    by_at_least: float = Field(default=0.0, ge=0.0, lt=1.0)
    by_at_most: float | None = Field(default=None, ge=0.0, lt=1.0)
    locked: Annotated[list[Product], BeforeValidator(as_list)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_one(self) -> "PricingRule":
        per_unit = [self.not_cheaper_per_unit_than, self.not_dearer_per_unit_than]
        of_sizes = self.larger is not None and sum(other is not None for other in per_unit) == 1
        of_gap = self.cheaper is not None and self.than is not None
        given = self.model_fields_set
        kinds = [
            (of_sizes, {"larger", "not_cheaper_per_unit_than", "not_dearer_per_unit_than", "times"}),
            (of_gap, {"cheaper", "than", "by_at_least", "by_at_most"}),
            (bool(self.locked), {"locked"}),
        ]
        if not any(holds and given <= keys for holds, keys in kinds):
            raise ValueError(
                "write a rule as {larger: A, not_cheaper_per_unit_than: B}, {larger: A, not_dearer_per_unit_than: B, "
                "times: 2}, {cheaper: A, than: B, by_at_least: 0.05} or {locked: [A, B]}"
            )
        if self.by_at_most is not None and self.by_at_most < self.by_at_least:
            raise ValueError("by_at_most is less than by_at_least")
        if any(product == other for product, other in self.pairs):
            raise ValueError("a rule is between two products; it names the same twice")
        return self

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The product and the other one, where the rule is between two."""
        product = self.larger or self.cheaper
        other = self.not_cheaper_per_unit_than or self.not_dearer_per_unit_than or self.than
        return [(product, other)] if product is not None and other is not None else []

    @property
    def words(self) -> str:
        """The rule as the settings have it."""
        given = self.model_dump(exclude_unset=True)
        return "{" + ", ".join(f"{key}: {value}" for key, value in given.items()) + "}"

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and most price of the product, in prices of the other one."""
        if self.not_cheaper_per_unit_than is not None:
            return self.times, float("inf")
        if self.not_dearer_per_unit_than is not None:
            return 0.0, self.times
        return (0.0 if self.by_at_most is None else 1.0 - self.by_at_most), 1.0 - self.by_at_least


class PricingSettings(Strict):
    """What recommended prices are to bring, and the rules that they keep."""

    objective: Literal["profit", "revenue", "units", "margin_floor"] = "profit"
    max_change: float = Field(default=0.10, gt=0.0, lt=1.0)
    min_margin: float | None = Field(default=None, lt=1.0, allow_inf_nan=False)
    endings: list[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(default_factory=list)
    max_products: int | None = Field(default=None, ge=0)
    confidence: float = Field(default=0.8, ge=0.0, lt=1.0)
    groups: list[PricingRule] = Field(default_factory=list)
