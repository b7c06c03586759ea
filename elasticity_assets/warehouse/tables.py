"""The tables that fits and refits write, every column's type, unit and meaning, once; and all of a warehouse's tables.

The warehouse creates its tables from them, the published file takes its comments from them, and the UI and
`docs/tables.md` show them. What ingestion writes is in `sales_tables`.
"""

from collections.abc import Sequence
from dataclasses import replace

from elasticity_assets.warehouse.sales_tables import (
    CATEGORY,
    PRODUCT,
    PRODUCTS,
    RAW_SALES,
    SALES_FILES,
    SUSPECT_SALES,
    UNUSED_SALES,
    ZONES,
    weekly_sales,
    zone_sales,
)
from elasticity_assets.warehouse.schema import Column, Table

FIT_ID = Column("fit_id", "VARCHAR", "id", "Names one category's fit")
FITTED_AT = Column("fitted_at", "TIMESTAMP", "UTC", "When that fit ended")
REFIT_ID = Column("refit_id", "VARCHAR", "id", "Names one publication of these tables")
REFITTED_AT = Column("refitted_at", "TIMESTAMP", "UTC", "When that refit began")

_ELASTICITY_UNIT = "% units for 1% price"
_COUNTED = "what pricing.objective counts, a period"
_RELATIVE = (
    "d log units / d log price while the rest of the category keeps its prices (relative-price elasticity)"
)


def _summary(name: str, meaning: str, how: str, missing: str = "") -> tuple[Column, ...]:
    """Summary columns of one posterior, the same at every level; `missing` says when they are NULL."""
    meanings = {
        name: f"{meaning}, posterior mean; {how}",
        f"{name}_sd": f"Posterior standard deviation of {name}",
        f"{name}_q05": f"Lower end of the 90% credible interval of {name}",
        f"{name}_q50": f"Posterior median of {name}",
        f"{name}_q95": f"Upper end of the 90% credible interval of {name}",
    }
    return tuple(
        Column(column, "DOUBLE", _ELASTICITY_UNIT, f"{text}; {missing}" if missing else text, bool(missing))
        for column, text in meanings.items()
    )


def _elasticity(whose: str, how: str = _RELATIVE) -> tuple[Column, ...]:
    """Summary columns of an elasticity."""
    return _summary("elasticity", whose, how)


_BEFORE = "NULL in rows that an earlier version wrote"


def _long_run(whose: str) -> tuple[Column, ...]:
    """Summary columns of the elasticity to price changes that last."""
    return _summary(
        "elasticity_long_run",
        f"{whose} once a price change has lasted for fit.lags periods",
        "elasticity plus the effects of the periods' prices before, and equal to it in a fit without those",
        _BEFORE,
    )


_SIZES = (
    Column("n_products", "BIGINT", "products", "Products in the fit"),
    Column("n_periods", "BIGINT", "periods", "Periods from which the fit has sales"),
    Column(
        "n_obs", "BIGINT", "product-periods", "Observed product-periods in the fit, also where it is by zone"
    ),
)

_CONFOUNDING = (
    Column(
        "bias_per_confounding",
        "DOUBLE",
        _ELASTICITY_UNIT,
        "By how much something unseen that moves prices and sales would move the elasticity, for each unit of "
        "sqrt(s * p / (1 - p)), where it explains shares s of what the model leaves of sales, and p of prices; NULL "
        f"where the category's own sales say nothing; {_BEFORE}",
        True,
    ),
    Column(
        "robustness",
        "DOUBLE",
        "fraction",
        "Share of both that it would have to explain to move the 90% interval to -1, or to 0, whichever is nearer and "
        f"outside; 0 where the interval holds both; {_BEFORE}",
        True,
    ),
)

PRODUCT_ELASTICITY = Table(
    "product_elasticity",
    "One row a product: its price elasticity, and what the files say about its sales and prices.",
    ("category", "product"),
    (
        CATEGORY,
        PRODUCT,
        Column(
            "product_description",
            "VARCHAR",
            "text",
            "The product's most frequent description; NULL where the files give none",
            nullable=True,
        ),
        *_elasticity("Elasticity of the product's own units to its own price"),
        Column(
            "prob_elastic", "DOUBLE", "probability", "P(elasticity < -1): a lower price brings more revenue"
        ),
        Column(
            "shrinkage",
            "DOUBLE",
            "fraction",
            "How far the number leans on the category: 0 is the product's data alone, 1 the category alone",
        ),
        *_long_run("Elasticity of the product's own units to its own price"),
        Column("n_periods", "BIGINT", "periods", "Periods in which the product was observed"),
        Column("units", "DOUBLE", "units sold", "Units over all periods, net of returns"),
        Column("revenue", "DOUBLE", "currency of the files", "Revenue over all periods"),
        Column(
            "price_mean", "DOUBLE", "currency a unit", "Mean of the periods' prices, suspect ones left out"
        ),
        Column("price_min", "DOUBLE", "currency a unit", "Lowest price of a period, suspect ones left out"),
        Column("price_max", "DOUBLE", "currency a unit", "Highest price of a period, suspect ones left out"),
        Column(
            "log_price_sd",
            "DOUBLE",
            "log price",
            "Standard deviation of the periods' log prices, suspect ones left out",
        ),
        Column(
            "price_latest",
            "DOUBLE",
            "currency a unit",
            f"Price of the last period with sales or an offer, suspect ones left out; {_BEFORE}",
            True,
        ),
        Column("price_latest_at", "DATE", "date", f"First day of that period; {_BEFORE}", True),
        Column(
            "units_per_period",
            "DOUBLE",
            "units sold a period",
            "Mean of the files' last 13 weeks (3 months where periods are months or quarters), from the product's "
            "first period on; periods of which nothing is known, and suspect ones, left out; "
            f"0 where it has none of late; {_BEFORE}",
            True,
        ),
        Column(
            "revenue_per_period",
            "DOUBLE",
            "currency of the files a period",
            f"price_latest times units_per_period; {_BEFORE}",
            True,
        ),
        Column(
            "flag",
            "VARCHAR",
            "text",
            "Why to be careful with this row, in words; NULL where nothing is known",
            True,
        ),
        Column(
            "estimated",
            "BOOLEAN",
            "true or false",
            "False where the elasticity is the category's or the prior's: its price never changed, or nothing was sold",
            before="'true'",
        ),
        *_CONFOUNDING,
        Column(
            "log_units_sd",
            "DOUBLE",
            "log units",
            "Standard deviation of a period's log units around what the model explains, as prices that change from "
            f"period to period meet it; NULL where nothing was sold of late; {_BEFORE}",
            True,
        ),
        FIT_ID,
        FITTED_AT,
    ),
)

ZONE_ELASTICITY = Table(
    "zone_elasticity",
    "One row a product and zone where the settings name zones (sales.zones): the product's price elasticity there. "
    "Empty without zones; a category none of whose products is sold in several zones has no rows.",
    ("category", "product", "zone"),
    (
        CATEGORY,
        PRODUCT,
        Column("zone", "VARCHAR", "text", "The store, region, channel or price zone, as the files name it"),
        *_elasticity("Elasticity of the product's units in this zone to its price there"),
        Column(
            "prob_elastic", "DOUBLE", "probability", "P(elasticity < -1): a lower price brings more revenue"
        ),
        Column(
            "shrinkage",
            "DOUBLE",
            "fraction",
            "How far the number leans on the product in a zone like the others, and on the zone: 0 is the data of the "
            "product in this zone alone, 1 those of the others alone",
        ),
        Column(
            "shared_sd",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "The part of elasticity_sd that comes of what the zone adds to all of its products' elasticities: one "
            "error for all of them, which no sum over products averages out",
        ),
        Column(
            "price_latest",
            "DOUBLE",
            "currency a unit",
            "Price in the zone in the last period with sales or an offer there, suspect ones left out",
        ),
        Column("price_latest_at", "DATE", "date", "First day of that period"),
        Column(
            "units_per_period",
            "DOUBLE",
            "units sold a period",
            "Units sold in the zone, as in product_elasticity: those of its zones add up to a product's where it is "
            "delivered for each of them in the same periods",
        ),
        Column(
            "revenue_per_period",
            "DOUBLE",
            "currency of the files a period",
            "price_latest times units_per_period",
        ),
        Column(
            "flag",
            "VARCHAR",
            "text",
            "Why to be careful with this row, in words; NULL where nothing is known",
            True,
        ),
        Column(
            "estimated",
            "BOOLEAN",
            "true or false",
            "False where the elasticity is the product's or the category's: its price never changed in the zone, or "
            "nothing was sold there",
        ),
        FIT_ID,
        FITTED_AT,
    ),
)

CATEGORY_MOVE_ELASTICITY = Table(
    "category_move_elasticity",
    "One row a product: what its units do when the prices of the whole category, its own among them, change "
    "alike.",
    ("category", "product"),
    (
        CATEGORY,
        PRODUCT,
        *_elasticity(
            "Elasticity of the product's units to the prices of its whole category",
            "its relative-price elasticity plus the effects of the category's price index and of substitutes' prices; "
            "a product alone in its category has no index, and one without others in its group no substitutes",
        ),
        FIT_ID,
    ),
)

CROSS_ELASTICITY = Table(
    "cross_elasticity",
    "One row an ordered pair of products of one group of substitutes (sales.columns.substitutes): what the other's "
    "price does to this one's units. Of a product the 50 others of its group that sell most.",
    ("category", "product", "other_product"),
    (
        CATEGORY,
        Column("product", "VARCHAR", "text", "Whose units change"),
        Column("other_product", "VARCHAR", "text", "Whose price changes"),
        Column(
            "elasticity",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "d log units of product / d log price of other_product, posterior mean; above 0 for substitutes. The "
            "category's effect of the others' mean price (substitute_prices in control_effect) times other_product's "
            "share of the others' units",
        ),
        Column("elasticity_sd", "DOUBLE", _ELASTICITY_UNIT, "Posterior standard deviation of elasticity"),
        Column(
            "elasticity_q05",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Lower end of the 90% credible interval of elasticity",
        ),
        Column(
            "elasticity_q95",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Upper end of the 90% credible interval of elasticity",
        ),
        FIT_ID,
    ),
)

CATEGORY_ELASTICITY = Table(
    "category_elasticity",
    "One row a category: the elasticity around which its products' lie, products weighted alike.",
    ("category",),
    (
        CATEGORY,
        *_elasticity("Elasticity around which the category's products lie"),
        *_long_run("Elasticity around which the category's products lie"),
        *_summary(
            "elasticity_later",
            "Effects of a period's price on the periods after it, added up over fit.lags of them",
            "above 0 where promotions borrow units from later on; the same for all products of the category",
            "NULL in a fit without lags",
        ),
        Column(
            "product_spread",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Posterior mean of tau, the standard deviation of products' elasticities around the category's",
        ),
        Column(
            "dispersion",
            "DOUBLE",
            "units sold",
            "Median of the products' r in variance = mean + mean^2 / r of the units; NULL for Poisson fits",
            True,
        ),
        *_SIZES,
        Column(
            "estimated",
            "BOOLEAN",
            "true or false",
            "False where the elasticity is the prior's and the other categories': none of its products' is estimated",
            before="'true'",
        ),
        *_CONFOUNDING,
        FIT_ID,
        FITTED_AT,
    ),
)

GLOBAL_ELASTICITY = Table(
    "global_elasticity",
    "A single row: the elasticity around which the categories' elasticities lie, categories weighted alike.",
    (),
    (
        *_elasticity("Elasticity around which the categories lie"),
        Column(
            "category_spread",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Posterior mean of tau_c, the standard deviation of categories' elasticities around this one",
        ),
        Column("product_spread", "DOUBLE", _ELASTICITY_UNIT, "Mean of the categories' product_spread"),
        Column(
            "dispersion",
            "DOUBLE",
            "units sold",
            "Median of the categories' dispersion; NULL for Poisson fits",
            True,
        ),
        Column("n_categories", "BIGINT", "categories", "Categories pooled"),
        *_SIZES,
        Column("fit_id", "VARCHAR", "id", "Names the pooling of the categories' fits"),
        Column("fitted_at", "TIMESTAMP", "UTC", "When the categories were pooled"),
    ),
)

CAUSAL_EVIDENCE = Table(
    "causal_evidence",
    "One row a category: whether its prices seem to follow demand, which biases elasticities.",
    ("category",),
    (
        CATEGORY,
        Column(
            "lead_effect",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Placebo: d log units / d log price of the next two periods, added up, beside all else in the model; 0 "
            "unless prices follow demand; above 0 where they are high because demand is; NULL where there is nothing "
            "to test by",
            True,
        ),
        Column(
            "lead_z",
            "DOUBLE",
            "standard errors",
            "lead_effect over its standard error; NULL where it is NULL",
            True,
        ),
        Column(
            "instrument_strength",
            "DOUBLE",
            "F statistic",
            "Of costs in explaining prices, products, periods and controls apart; below 104.7 they are weak, and not "
            "gone by; NULL where the files give no costs (sales.columns.cost)",
            True,
        ),
        Column(
            "instrumented_elasticity",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "The category's elasticity from what costs did to prices, not pooled over categories; NULL where costs are "
            "missing or weak",
            True,
        ),
        Column(
            "instrumented_elasticity_sd",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Posterior standard deviation of instrumented_elasticity; NULL where it is NULL",
            True,
        ),
        Column(
            "hausman_z",
            "DOUBLE",
            "standard errors",
            "Effects on units of what costs leave of the price, now, before and after, tested together: a normal "
            "deviate, 0 but for chance unless prices follow demand; NULL as instrumented_elasticity",
            True,
        ),
        Column(
            "randomized_elasticity",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "The category's elasticity from prices drawn at random, not pooled over categories; NULL where too few are "
            "marked (sales.columns.randomized)",
            True,
        ),
        Column(
            "randomized_elasticity_sd",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Posterior standard deviation of randomized_elasticity; NULL where it is NULL",
            True,
        ),
        Column(
            "randomized_gap_z",
            "DOUBLE",
            "standard errors",
            "Slope of the prices that were not drawn less that of those that were: the bias of observed prices, 0 but "
            "for chance unless they follow demand; NULL as randomized_elasticity, and where hardly any other price "
            "moves",
            True,
        ),
        Column(
            "strongest_control",
            "VARCHAR",
            "text",
            "The control of the files that would bias the elasticity most, were it not known: what robustness is held "
            f"against; NULL where the files give none; {_BEFORE}",
            True,
        ),
        Column(
            "strongest_control_of_sales",
            "DOUBLE",
            "fraction",
            "Share that it explains of what all else in the model leaves of sales; NULL where strongest_control is",
            True,
        ),
        Column(
            "strongest_control_of_prices",
            "DOUBLE",
            "fraction",
            "Share that it explains of what all else leaves of prices; NULL where strongest_control is",
            True,
        ),
        Column(
            "prices_follow_demand",
            "BOOLEAN",
            "true or false",
            "True where lead_z, or hausman_z unless fit.instrument is use, is beyond 3, or randomized_gap_z beyond 2: "
            "the category's elasticities are biased, and no price of it is recommended; false where fit.instrument is "
            "use and they rest on random prices, with an sd of 0.5 at most",
        ),
        Column(
            "verdict",
            "VARCHAR",
            "text",
            "What this comes to, in words, and what would settle what is open",
        ),
        FIT_ID,
    ),
)

_NOT_POOLED = "of the category's fit alone, not pooled over categories"


PROMOTION_ELASTICITY = Table(
    "promotion_elasticity",
    "One row a product of a category with regular prices: how its units respond to its regular price, and how to a "
    "promotion's discount. An additional fit, not pooled over categories; product_elasticity has one number for both.",
    ("category", "product"),
    (
        CATEGORY,
        PRODUCT,
        *_summary(
            "regular_elasticity",
            "d log units / d log regular price at an unchanged discount, the rest of the category unchanged",
            _NOT_POOLED,
        ),
        *_summary(
            "regular_elasticity_long_run",
            "The same once the regular price has lasted for fit.lags periods",
            f"regular_elasticity plus the effects of the periods' prices before, {_NOT_POOLED}",
            _BEFORE,
        ),
        *_summary(
            "promotion_elasticity",
            "d log units / d log price paid at an unchanged regular price, the rest of the category unchanged",
            _NOT_POOLED,
        ),
        Column(
            "n_promotion_periods",
            "BIGINT",
            "periods",
            "Periods in the fit whose price was at least 1% below the regular price",
        ),
        Column(
            "log_regular_price_sd",
            "DOUBLE",
            "log price",
            "Standard deviation of the log regular prices of the periods in the fit",
        ),
        Column(
            "flag",
            "VARCHAR",
            "text",
            "Why to be careful with this row, in words; NULL where nothing is known",
            True,
        ),
        Column(
            "fit_id",
            "VARCHAR",
            "id",
            "Names the category's fit in product_elasticity that this one started from",
        ),
        FITTED_AT,
    ),
)

_EFFECT_UNIT = "log units for 1 of the control"
CONTROL_EFFECT = Table(
    "control_effect",
    "One row a category and control (display, mailer, ...): what it does to units at unchanged prices.",
    ("category", "control"),
    (
        CATEGORY,
        Column(
            "control",
            "VARCHAR",
            "text",
            "Name of the control: a column of the sales files, holidays, category_price_index, category_price_change, "
            "price_season, substitute_prices, or price_lag_1 and so on, the log price so many periods before",
        ),
        Column("effect", "DOUBLE", _EFFECT_UNIT, "Posterior mean of the change of log units"),
        Column("effect_sd", "DOUBLE", _EFFECT_UNIT, "Posterior standard deviation of effect"),
        Column("effect_q05", "DOUBLE", _EFFECT_UNIT, "Lower end of the 90% credible interval of effect"),
        Column("effect_q95", "DOUBLE", _EFFECT_UNIT, "Upper end of the 90% credible interval of effect"),
    ),
)

_SPLIT = "NULL where parts of the periods were not compared"
_HELD_OUT = "NULL where no held-out evaluation was made"
FIT_DIAGNOSTICS = Table(
    "fit_diagnostics",
    "One row a category: how its fit went, and how it predicts what it has not seen.",
    ("category",),
    (
        CATEGORY,
        Column("engine", "VARCHAR", "text", "natural_gradient, svi or nuts"),
        Column(
            "likelihood", "VARCHAR", "text", "poisson or negative_binomial, with 'zero-truncated ' before it"
        ),
        Column("device", "VARCHAR", "text", "Where the fit ran"),
        Column(
            "iterations",
            "BIGINT",
            "count",
            "Passes over the data until the mode of tau, optimizer steps, or draws, by engine",
        ),
        Column("converged", "BOOLEAN", "true or false", "Whether the fit met its stopping rule"),
        Column("elbo", "DOUBLE", "nats", "Evidence lower bound of the fit; NULL for nuts", True),
        Column(
            "seconds",
            "DOUBLE",
            "seconds",
            "Wall time of the fit, compilation included; fits side by side share the cores",
        ),
        Column("n_products", "BIGINT", "products", "Products in the fit"),
        Column(
            "n_obs",
            "BIGINT",
            "product-periods",
            "Observed product-periods in the fit, also where it is by zone",
        ),
        Column(
            "serial_correlation_factor",
            "DOUBLE",
            "ratio",
            "By how much neighbouring periods' correlation widened the variances; 1 where not at all",
            before="1",
        ),
        Column(
            "n_discounted",
            "BIGINT",
            "product-periods",
            "Product-periods that count less or not at all, since their units are outlying (fit.robust)",
            before="0",
        ),
        Column(
            "heldout_coverage_50",
            "DOUBLE",
            "fraction",
            f"Share of held-out product-periods inside their 50% predictive intervals; {_HELD_OUT}",
            True,
        ),
        Column(
            "heldout_coverage_90",
            "DOUBLE",
            "fraction",
            f"Share of held-out product-periods inside their 90% predictive intervals; {_HELD_OUT}",
            True,
        ),
        Column(
            "heldout_coverage_90_low_volume",
            "DOUBLE",
            "fraction",
            f"The same for the third of the products that sells least; {_HELD_OUT}",
            True,
        ),
        Column(
            "heldout_coverage_90_mid_volume",
            "DOUBLE",
            "fraction",
            f"The same for the third in the middle; {_HELD_OUT}",
            True,
        ),
        Column(
            "heldout_coverage_90_high_volume",
            "DOUBLE",
            "fraction",
            f"The same for the third that sells most; {_HELD_OUT}",
            True,
        ),
        Column(
            "heldout_coverage_spread",
            "DOUBLE",
            "ratio",
            f"Spread of the products' coverage of 90% intervals over what chance gives; {_HELD_OUT}",
            True,
        ),
        Column(
            "heldout_wape",
            "DOUBLE",
            "fraction of units",
            f"Sum of absolute errors of the predictive median over the sum of units, held out; {_HELD_OUT}",
            True,
        ),
        Column(
            "heldout_log_score",
            "DOUBLE",
            "nats a product-period",
            f"Mean log predictive probability of held-out units; {_HELD_OUT}",
            True,
        ),
        Column(
            "forecast_coverage_90",
            "DOUBLE",
            "fraction",
            f"Share of the last 8 periods' product-periods inside their 90% intervals, forecast; {_HELD_OUT}",
            True,
        ),
        Column("forecast_wape", "DOUBLE", "fraction of units", f"WAPE of that forecast; {_HELD_OUT}", True),
        Column(
            "forecast_log_score",
            "DOUBLE",
            "nats a product-period",
            f"Log score of that forecast; {_HELD_OUT}",
            True,
        ),
        Column(
            "split_sample_agreement",
            "DOUBLE",
            "fraction",
            "Share of products whose elasticities from alternate blocks of 13 weeks agree within 90% intervals; "
            + _SPLIT,
            True,
        ),
        Column(
            "drift",
            "DOUBLE",
            _ELASTICITY_UNIT,
            f"The category's elasticity from the second half of the periods less that from the first; {_SPLIT}",
            True,
        ),
        Column(
            "drift_sd",
            "DOUBLE",
            _ELASTICITY_UNIT,
            f"Standard deviation that drift has if nothing changed; {_SPLIT}",
            True,
        ),
        Column(
            "warnings",
            "VARCHAR[]",
            "texts",
            "What to be careful about, in words; empty where nothing is known",
        ),
        FIT_ID,
    ),
)

HELDOUT_SCORES = Table(
    "heldout_scores",
    "One row a category, model and set of cells: how this model and simpler rivals predict the same unseen sales.",
    ("category", "cells", "model"),
    (
        CATEGORY,
        Column(
            "cells",
            "VARCHAR",
            "text",
            "folds: every product-period (of a large category, of a sample of its products) left out once, at random; "
            "forecast: the last 8 periods left out",
        ),
        Column(
            "model",
            "VARCHAR",
            "text",
            "this model, one slope for all products, each product on its own, or no price effect",
        ),
        Column(
            "log_score", "DOUBLE", "nats a product-period", "Mean log predictive probability of the units"
        ),
        Column(
            "log_score_lead",
            "DOUBLE",
            "nats a product-period",
            "This model's log score less the row's; above 0 this model predicts better",
        ),
        Column(
            "log_score_lead_se",
            "DOUBLE",
            "nats a product-period",
            "Standard error of log_score_lead, product-periods paired",
        ),
        Column(
            "wape",
            "DOUBLE",
            "fraction of units",
            "Sum of absolute errors of the predictive median over the sum of units; NULL if nothing was sold",
            True,
        ),
        Column("n_cells", "BIGINT", "product-periods", "Product-periods predicted"),
        FIT_ID,
    ),
)

NUTS_CROSS_CHECK = Table(
    "nuts_cross_check",
    "One row a category checked: how far its posterior lies from NUTS's, which is slow and exact. Checked in turns.",
    ("category",),
    (
        CATEGORY,
        Column("checked_at", "TIMESTAMP", "UTC", "When it was checked"),
        Column(
            "n_products",
            "BIGINT",
            "products",
            "Products compared: all, or a random sample of a large category",
        ),
        Column(
            "mean_difference_rms",
            "DOUBLE",
            "posterior sds",
            "Difference of the posterior means, root mean square",
        ),
        Column(
            "mean_difference_max", "DOUBLE", "posterior sds", "The same, of the product that differs most"
        ),
        Column(
            "sd_ratio_median",
            "DOUBLE",
            "ratio",
            "Posterior standard deviation over NUTS's, the products' median",
        ),
        Column("sd_ratio_min", "DOUBLE", "ratio", "The same, of the product where it is smallest"),
        Column("sd_ratio_max", "DOUBLE", "ratio", "The same, of the product where it is largest"),
        Column("r_hat", "DOUBLE", "ratio", "Largest R-hat of NUTS's chains: 1 where they agree"),
        Column("effective_sample_size", "DOUBLE", "draws", "Smallest effective sample size of NUTS's draws"),
        Column("divergences", "BIGINT", "transitions", "Transitions that NUTS could not follow"),
        FIT_ID,
    ),
)

_CHANGE = "a price change of price_change, the rest of the category unchanged"
_CATEGORY_CHANGE = "a change of all the category's prices by price_change"
_LASTING = (
    "a price change that lasts, fit.lags periods on: by regular_elasticity_long_run of promotion_elasticity, where "
    "regular prices changed in the category, else by elasticity_long_run"
)
_PROMOTION = (
    "a price charged for one period, in that period: by promotion_elasticity, where the category had promotions, else "
    "as units_change"
)
_DEARER = "NULL where the price rises, which no promotion does"
_LATER = (
    "such a price in the fit.lags periods after it, added up, as a fraction of one period's; 0 without lags"
)
_NO_INDEX = "NULL where category_move_elasticity has no row of the product"


def _change(name: str, of: str, how: str, missing: str | None = None) -> tuple[Column, ...]:
    """Median and 90% interval of a change of units or revenue; `missing` says when they are NULL."""
    meanings = {
        name: f"Posterior median of the change of the product's {of} at {how}",
        f"{name}_q05": "Lower end of the 90% credible interval",
        f"{name}_q95": "Upper end of the 90% credible interval",
    }
    return tuple(
        Column(
            column,
            "DOUBLE",
            f"fraction of {of}",
            meaning if missing is None else f"{meaning}; {missing}",
            missing is not None,
        )
        for column, meaning in meanings.items()
    )


PRICE_SCENARIOS = Table(
    "price_scenarios",
    "One row a product and price change: what units and revenue do if this product's price alone changes (in the "
    "period of the change, once it has lasted, or as a promotion of one period), and if all prices of its category do. "
    "The macro price_scenario(product, price_change) answers for any other change.",
    ("category", "product", "price_change"),
    (
        CATEGORY,
        PRODUCT,
        Column(
            "price_change",
            "DOUBLE",
            "fraction of price",
            "Change of the price, price_latest of product_elasticity, -0.20 to +0.20; 0.05 is 5% dearer",
        ),
        Column("price", "DOUBLE", "currency a unit", "The changed price"),
        *_change("units_change", "units", _CHANGE),
        *_change("revenue_change", "revenue", _CHANGE),
        Column(
            "units_per_period",
            "DOUBLE",
            "units sold a period",
            f"Posterior median of the units at {_CHANGE}, from the recent ones in product_elasticity; {_BEFORE}",
            True,
        ),
        Column(
            "revenue_per_period",
            "DOUBLE",
            "currency of the files a period",
            f"Posterior median of the revenue at {_CHANGE}: price times units_per_period; {_BEFORE}",
            True,
        ),
        *_change("lasting_units_change", "units", _LASTING, _BEFORE),
        *_change("lasting_revenue_change", "revenue", _LASTING, _BEFORE),
        *_change("promotion_units_change", "units", _PROMOTION, f"{_DEARER}; {_BEFORE}"),
        *_change("promotion_later_units_change", "units", _LATER, f"{_DEARER}; {_BEFORE}"),
        *_change("category_units_change", "units", _CATEGORY_CHANGE, _NO_INDEX),
        *_change("category_revenue_change", "revenue", _CATEGORY_CHANGE, _NO_INDEX),
        Column("estimated", "BOOLEAN", "true or false", "As in product_elasticity", before="'true'"),
        Column(
            "extrapolated",
            "BOOLEAN",
            "true or false",
            "Whether the changed price lies outside the prices ever charged: price_min to price_max of the product",
            before="'false'",
        ),
        Column("flag", "VARCHAR", "text", "Where extrapolated, these prices in words; NULL elsewhere", True),
    ),
)


def _price_effect(of: str, unit: str, missing: str = "") -> tuple[Column, ...]:
    """Give the expectation and 90% interval of what recommended prices do to a product's units, revenue or profit."""
    more = f"; {missing}" if missing else ""
    return tuple(
        Column(f"{of}_change{end}", "DOUBLE", unit, f"{meaning}{more}", bool(missing))
        for end, meaning in (
            (
                "",
                f"Expected change of the product's {of} a period, all recommended prices in force; not a fraction, as "
                "in price_scenarios",
            ),
            ("_q05", "Lower end of its 90% credible interval"),
            ("_q95", "Upper end of its 90% credible interval"),
        )
    )


RECOMMENDED_PRICES = Table(
    "recommended_prices",
    "One row a product: the price that is best for the settings' pricing.objective within their rules, and why; where "
    "the settings name zones (sales.zones), one more for each zone of the product.",
    ("category", "product", "zone"),
    (
        CATEGORY,
        PRODUCT,
        Column(
            "zone",
            "VARCHAR",
            "text",
            "Price zone; NULL: the change holds in all, price_now being their prices' mean",
            True,
        ),
        Column(
            "price_now",
            "DOUBLE",
            "currency a unit",
            "Today's: the regular price, where the files give that of the last period; else price_latest of "
            "product_elasticity, which may be a promotion's",
        ),
        Column(
            "price_recommended", "DOUBLE", "currency a unit", "The recommended one; today's where it is kept"
        ),
        Column("action", "VARCHAR", "text", "raise, lower or keep"),
        *_price_effect("units", "units sold a period"),
        *_price_effect("revenue", "currency of the files a period"),
        *_price_effect("profit", "currency of the files a period", "NULL where the files give no cost"),
        Column(
            "prob_gain",
            "DOUBLE",
            "probability",
            "That the change gains what the objective counts, other prices as today; NULL where the price is kept, and "
            "only there",
            True,
        ),
        Column(
            "binding_rule",
            "VARCHAR",
            "text",
            "The rule that keeps the price from a better one, or why none is recommended; NULL where none does",
            True,
        ),
        Column("reason", "VARCHAR", "text", "Why, in words"),
        REFIT_ID,
    ),
)

UNIFORM_PRICING = Table(
    "uniform_pricing",
    "What uniform pricing costs: prices by zone against one price change in all zones. One row a product that is sold "
    "in several zones, and one a category with such products; empty where the settings name no zones (sales.zones).",
    ("category", "product"),
    (
        CATEGORY,
        Column(
            "product", "VARCHAR", "text", "As in product_elasticity; NULL: all of the category together", True
        ),
        Column(
            "gain_everywhere",
            "DOUBLE",
            _COUNTED,
            "Expected gain of the price change that recommended_prices has for all zones, the other "
            "products' prices as today",
        ),
        Column("gain_by_zone", "DOUBLE", _COUNTED, "The same of the prices that it has for each zone"),
        Column("cost", "DOUBLE", _COUNTED, "gain_by_zone less gain_everywhere: what uniform pricing costs"),
        Column("cost_q05", "DOUBLE", _COUNTED, "5% quantile of what it costs under the posterior"),
        Column("cost_q95", "DOUBLE", _COUNTED, "95% quantile"),
        Column(
            "prob_zones_gain",
            "DOUBLE",
            "probability",
            "That the prices by zone gain more; NULL where they are the ones everywhere",
            True,
        ),
        REFIT_ID,
    ),
)

RECOMMENDED_TESTS = Table(
    "recommended_tests",
    "One row a product whose elasticity is worth knowing better: the price test that would tell it, best first.",
    ("category", "product"),
    (
        CATEGORY,
        PRODUCT,
        Column("zone", "VARCHAR", "text", "Price zone; NULL: the test is of the price in all", True),
        Column("price_now", "DOUBLE", "currency a unit", "As in recommended_prices"),
        Column("price_low", "DOUBLE", "currency a unit", "The lower of the two prices to charge in turns"),
        Column("price_high", "DOUBLE", "currency a unit", "The higher one, within pricing.max_change too"),
        Column(
            "periods", "BIGINT", "periods", "Length of the test, each price being charged in half of them"
        ),
        Column(
            "elasticity",
            "DOUBLE",
            _ELASTICITY_UNIT,
            f"To price changes that last, by which recommended_prices chooses: posterior mean; {_RELATIVE}",
        ),
        Column(
            "elasticity_sd",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Of what is believed of it today: the posterior's standard deviation, with the doubt that something unseen "
            "moves prices and sales",
        ),
        Column("sd_after", "DOUBLE", _ELASTICITY_UNIT, "What the test is expected to leave of it"),
        Column(
            "gain_per_period",
            "DOUBLE",
            _COUNTED,
            "What the price chosen after the test is expected to gain over the one chosen before it, neither being "
            "kept because prices follow demand or never changed: currency, or units",
        ),
        Column(
            "gain_per_period_of_testing",
            "DOUBLE",
            _COUNTED,
            "gain_per_period for each period that the test takes",
        ),
        Column("rank", "BIGINT", "rank", "1 is the test to run first: by gain_per_period_of_testing"),
        Column("reason", "VARCHAR", "text", "Why it is not known well enough, in words"),
        REFIT_ID,
    ),
)

ELASTICITY_HISTORY = Table(
    "elasticity_history",
    "One row a product and refit: what each refit published.",
    ("refit_id", "category", "product"),
    (
        CATEGORY,
        PRODUCT,
        REFIT_ID,
        REFITTED_AT,
        Column("elasticity", "DOUBLE", _ELASTICITY_UNIT, "Posterior mean as that refit published it"),
        Column(
            "elasticity_sd",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Posterior standard deviation as that refit published it",
        ),
        Column(
            "elasticity_q05",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Lower end of the 90% credible interval as that refit published it; NULL where an earlier version did",
            True,
        ),
        Column(
            "elasticity_q95",
            "DOUBLE",
            _ELASTICITY_UNIT,
            "Upper end of the 90% credible interval as that refit published it; NULL where an earlier version did",
            True,
        ),
        Column(
            "estimated",
            "BOOLEAN",
            "true or false",
            "As product_elasticity had it then",
            before="'true'",
        ),
    ),
)

REFITS = Table(
    "refits",
    "One row a refit that published these tables.",
    ("refit_id",),
    (
        REFIT_ID,
        REFITTED_AT,
        Column("seconds", "DOUBLE", "seconds", "From that refit's start until its tables stood"),
        Column("n_files", "BIGINT", "files", "Sales files taken in so far"),
        Column("rows_in", "BIGINT", "rows", "Rows in these files"),
        Column("rows_used", "BIGINT", "rows", "Rows that count in weekly_sales"),
        Column("rows_rejected", "BIGINT", "rows", "Rows in rejected_sales"),
        Column("n_categories", "BIGINT", "categories", "Categories published"),
        Column("n_products", "BIGINT", "products", "Products published"),
        Column(
            "failed",
            "VARCHAR[]",
            "categories",
            "Categories whose fit failed: they keep their last rows, flagged",
        ),
        Column(
            "versions", "MAP(VARCHAR, VARCHAR)", "version by package", "The software that made this refit"
        ),
        Column(
            "number",
            "BIGINT",
            "refits",
            "Counts the refits in the order of their publication, whatever the clock said: these tables are of the one "
            "with the largest. NULL where an earlier version made the file",
            nullable=True,
        ),
        Column(  # of the file that holds the other columns, and so not in it
            "file_hash",
            "VARCHAR",
            "SHA-256",
            "Of the published file; NULL where an earlier version made it",
            nullable=True,
            published=False,
        ),
    ),
)


FIT_FAILURES = Table(
    "fit_failures",
    "One row a category whose last fit failed.",
    ("category",),
    (
        CATEGORY,
        Column("failed_at", "TIMESTAMP", "UTC", "When the fit failed"),
        Column("reason", "VARCHAR", "text", "Why, in one line"),
    ),
)

CHECK_RESULTS = Table(
    "check_results",
    "One row a check and category: its last result. A check of everything at once has one row, of no category. "
    "Checks of published_elasticity and report come after publication: here their results are the refit's before.",
    ("check", "asset", "category"),
    (
        Column("check", "VARCHAR", "text", "Name of the check"),
        Column("asset", "VARCHAR", "text", "Asset that it checks"),
        Column("category", "VARCHAR", "text", "Product category; empty for a check of everything at once"),
        Column("passed", "BOOLEAN", "true or false", "Whether the check passed"),
        Column("severity", "VARCHAR", "error or warning", "What it means where it did not pass"),
        Column("message", "VARCHAR", "text", "What was found, in one line; empty for a category that passed"),
        Column("evaluated_at", "TIMESTAMP", "UTC", "When the check was made"),
        Column("refit_id", "VARCHAR", "text", "Run that made it; a refit's run is the refit"),
    ),
)


def with_attributes(table: Table, attributes: Sequence[str]) -> Table:
    """Give a table of products as it is published: the attributes that the settings name follow what the product is."""
    place = 1 + max(
        number
        for number, column in enumerate(table.columns)
        if column.name in ("product", "product_description")
    )
    columns = (
        Column(
            name,
            "VARCHAR",
            "text",
            f"The product's most frequent {name}; NULL where the files give none",
            True,
        )
        for name in attributes
    )
    return replace(table, columns=(*table.columns[:place], *columns, *table.columns[place:]))


def check_attributes(attributes: Sequence[str]) -> None:
    """Refuse attributes named twice, or like a column of a table in which they are columns.

    Raises
    ------
    ValueError
        If there is one; told in one line.
    """
    taken = {column.name: table.name for table in WITH_ATTRIBUTES for column in table.columns}
    named: set[str] = set()
    for attribute in attributes:
        name = attribute.casefold()
        if name in named:
            raise ValueError(f"{attribute!r} is named twice; columns match without regard to case")
        if name in taken:
            raise ValueError(f"{attribute!r} is a column of {taken[name]}; rename it in the files")
        named.add(name)


WITH_ATTRIBUTES = (PRODUCT_ELASTICITY, RECOMMENDED_PRICES)
"""Tables that are published with the products' attributes."""

WAREHOUSE_TABLES = (
    SALES_FILES,
    RAW_SALES,
    UNUSED_SALES,
    PRODUCTS,
    weekly_sales(),
    zone_sales(),
    ZONES,
    SUSPECT_SALES,
    FIT_FAILURES,
    CHECK_RESULTS,
    PRODUCT_ELASTICITY,
    ZONE_ELASTICITY,
    CATEGORY_MOVE_ELASTICITY,
    CROSS_ELASTICITY,
    CATEGORY_ELASTICITY,
    GLOBAL_ELASTICITY,
    CONTROL_EFFECT,
    FIT_DIAGNOSTICS,
    HELDOUT_SCORES,
    CAUSAL_EVIDENCE,
    NUTS_CROSS_CHECK,
    PRICE_SCENARIOS,
    PROMOTION_ELASTICITY,
    RECOMMENDED_PRICES,
    UNIFORM_PRICING,
    RECOMMENDED_TESTS,
    ELASTICITY_HISTORY,
    REFITS,
)
"""All tables that a warehouse is made with; the controls join raw_sales, weekly_sales and zone_sales later."""
