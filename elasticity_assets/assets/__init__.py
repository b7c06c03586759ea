"""The assets: sales, model input, posterior, evidence, elasticity, promotion, published, and report at the end."""

import warnings

with warnings.catch_warnings():
    # Dagster's notices of what is beta in 1.13 and used here on purpose; nothing else is silenced anywhere.
    warnings.filterwarnings(
        "ignore", message="Parameter `backfill_policy` of function `asset` is currently in beta"
    )
    from elasticity_assets.assets import (
        elasticity,
        evidence,
        model_input,
        posterior,
        promotion,
        published,
        report,
        sales,
    )

__all__ = ["elasticity", "evidence", "model_input", "posterior", "promotion", "published", "report", "sales"]
