"""Price elasticities for every product, as Dagster assets."""
