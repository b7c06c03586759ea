"""How elasticities are fitted."""

from typing import Literal

from pydantic import (
    Field,
    model_validator,
)

from elasticity_assets.inference.options import NaturalGradientOptions, NutsOptions, SviOptions
from elasticity_assets.settings.section import Strict


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
    instrument: Literal["report", "use", "none"] = "report"
    svi: SviOptions = SviOptions()
    natural_gradient: NaturalGradientOptions = NaturalGradientOptions()
    nuts: NutsOptions = NutsOptions()

    @model_validator(mode="after")
    def _the_article_knows_no_instrument(self) -> "FitSettings":
        if self.preset == "article" and self.instrument == "use":
            raise ValueError(
                "instrument: use is not for the preset article; set instrument: report, or preset: default"
            )
        return self

    @model_validator(mode="after")
    def _svi_knows_neither_slow_demand_nor_season(self) -> "FitSettings":
        asked = self.model_fields_set if self.engine == "svi" else set()
        for name in ("slow_demand", "season"):
            if name in asked and getattr(self, name) is True:
                raise ValueError(
                    f"{name} is not for the engine svi; set {name}: false, or engine: natural_gradient"
                )
        return self
