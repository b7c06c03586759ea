"""Every check that is made, by name and asset: what was found by one that is made no more is forgotten."""

from elasticity_assets.checks import evidence, fit, model_input, pricing, published, sales

EVERY_CHECK = [
    *(
        (spec.name, spec.asset_key.to_user_string())
        for spec in (
            *sales.RAW_SALES,
            *sales.WEEKLY_SALES,
            *model_input.MODEL_INPUT,
            *fit.CATEGORY_POSTERIOR,
            *fit.PRODUCT_ELASTICITY,
            *fit.PROMOTION_ELASTICITY,
            *pricing.RECOMMENDED_PRICES,
            *evidence.HELDOUT_EVALUATION,
            *evidence.SPLIT_SAMPLES,
            *evidence.CONFOUNDING_TESTS,
            *evidence.NUTS_CROSS_CHECK,
            *published.PUBLISHED_ELASTICITY,
            *published.REPORT,
        )
    ),
    ("every_category_is_recent", "published_elasticity"),
]
