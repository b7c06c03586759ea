"""Priors of the demand model: learned or fixed scales, and the presets."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class HalfNormal:
    """A scale that is learned, with a half-normal prior of this scale."""

    scale: float


@dataclass(frozen=True)
class Fixed:
    """A scale that is known."""

    value: float


@dataclass(frozen=True)
class SlowDemand:
    """Prior of products' slow demand, an AR(1) over the periods.

    Attributes
    ----------
    log_sd_mean, log_sd_sd : float
        mu_u ~ N(., .), mean of log sigma_i; -1.6 is an sd of 0.2.
    log_sd_spread : HalfNormal or Fixed
        s_u, sd of log sigma_i around mu_u.
    logit_persistence_mean, logit_persistence_sd : float
        Of logit phi, the correlation of neighbouring periods; 1.4 is 0.8.
    """

    log_sd_mean: float = -1.6
    log_sd_sd: float = 1.0
    log_sd_spread: HalfNormal | Fixed = HalfNormal(0.5)
    logit_persistence_mean: float = 1.4
    logit_persistence_sd: float = 1.0


@dataclass(frozen=True)
class Season:
    """Prior of products' seasons, a sine and a cosine of the year each.

    Attributes
    ----------
    spread : HalfNormal or Fixed
        sigma_w, sd of a product's two coefficients around 0.
    least_days : int
        Categories whose periods span less have no seasons: less than a year and a half tells them from nothing else.
    """

    spread: HalfNormal | Fixed = HalfNormal(0.5)
    least_days: int = 546  # 78 weeks


@dataclass(frozen=True)
class Zones:
    """Prior of what zones add, where rows are products in zones.

    Attributes
    ----------
    zone_spread : HalfNormal or Fixed
        sigma_b, sd of what a zone adds to all products' elasticities, given its covariates.
    row_spread : HalfNormal or Fixed
        tau_z, sd of what is left of a product's elasticity in a zone.
    covariate_sd : float
        Of the effect of each of the zones' covariates on elasticities, around 0.
    log_shock_mean, log_shock_sd : float
        mu_v ~ N(., .), mean of log nu_i, where nu_i is the sd of a product's shocks of a period, common to its zones.
    log_shock_spread : HalfNormal or Fixed
        s_v, sd of log nu_i around mu_v.
    shocks : bool
        Whether products have such shocks.
    """

    zone_spread: HalfNormal | Fixed = HalfNormal(0.5)
    row_spread: HalfNormal | Fixed = HalfNormal(0.5)
    covariate_sd: float = 1.0
    log_shock_mean: float = -1.6
    log_shock_sd: float = 1.0
    log_shock_spread: HalfNormal | Fixed = HalfNormal(0.5)
    shocks: bool = True


DEFAULT_ZONES = Zones()

ONE_ZONE = Zones(zone_spread=Fixed(0.0), row_spread=Fixed(0.0), shocks=False)
"""What is left of the zones' prior where products are in one zone each."""


@dataclass(frozen=True)
class Priors:
    """Every prior of the model, in its own notation (`docs/model.md`).

    Elasticities are d log units / d log price.

    Attributes
    ----------
    global_mean, global_sd : float
        beta_g ~ N(global_mean, global_sd^2), the elasticity over all categories.
    category_spread : HalfNormal or Fixed
        tau_c, sd of categories' elasticities around beta_g.
    product_spread : HalfNormal or Fixed
        tau, sd of products' elasticities around their category's beta_c.
    level_mean, level_sd : float
        delta_c ~ N(level_mean, level_sd^2), mean log demand of a category's products; level_sd = 0 fixes it.
    level_spread : HalfNormal or Fixed
        sigma_delta, sd of products' log demand delta_i around delta_c.
    period_spread : HalfNormal or Fixed
        sigma_gamma, sd of the category-by-period effects gamma_t.
    control_sd : float
        alpha_k ~ N(0, control_sd^2).
    log_dispersion_mean, log_dispersion_sd : float
        mu_r ~ N(., .), mean of log r_i.
    log_dispersion_spread : HalfNormal or Fixed
        s_r, sd of log r_i around mu_r.
    centred_price : bool
        Whether log price is centred by product.
    slow_demand : SlowDemand or None
        None where products' demand does not drift.
    season : Season or None
        None where products have no seasons.
    """

    global_mean: float = -2.0
    global_sd: float = 2.0
    category_spread: HalfNormal | Fixed = HalfNormal(1.0)
    product_spread: HalfNormal | Fixed = HalfNormal(1.0)
    level_mean: float = 0.0
    level_sd: float = 10.0
    level_spread: HalfNormal | Fixed = HalfNormal(3.0)
    period_spread: HalfNormal | Fixed = HalfNormal(1.0)
    control_sd: float = 1.0
    log_dispersion_mean: float = 2.0
    log_dispersion_sd: float = 2.0
    log_dispersion_spread: HalfNormal | Fixed = HalfNormal(1.0)
    centred_price: bool = True
    slow_demand: SlowDemand | None = None
    season: Season | None = None

    @property
    def category_mean(self) -> float:
        """Prior mean m0 of beta_c when a category is fitted alone."""
        return self.global_mean

    @property
    def category_var(self) -> float:
        """Prior variance v0 of beta_c when a category is fitted alone: global_sd^2 + E[tau_c^2]."""
        spread = self.category_spread
        return self.global_sd**2 + (spread.value if isinstance(spread, Fixed) else spread.scale) ** 2

    def over(self, days: int) -> "Priors":
        """Leave seasons out if the periods span too few days."""
        too_short = self.season is not None and days < self.season.least_days
        return replace(self, season=None) if too_short else self


DEFAULT = Priors()

ARTICLE = Priors(
    global_sd=1.0,
    category_spread=Fixed(1.0),
    product_spread=Fixed(2.0),
    level_sd=0.0,
    level_spread=Fixed(3.0),
    period_spread=Fixed(3.0),
    centred_price=False,
)

PRESETS = {"default": DEFAULT, "article": ARTICLE}
