"""How much rows of sales count where they are suspect: parts of statements that read weekly_sales or zone_sales."""

from elasticity_assets.warehouse.sql import statement


def weights_of_suspects(*, by_zone: bool) -> dict[str, str]:
    """Give the parts `weights`, joins that follow a table of sales w, and `weight`, what a row of it counts, 0 to 1.

    Parameters
    ----------
    by_zone : bool
        Whether w is zone_sales.
    """
    everywhere = statement("weights_of_suspects")
    if not by_zone:
        return {"weights": everywhere, "weight": statement("weight_of_suspects")}
    there = statement("weights_of_suspects_in_zones")
    return {"weights": f"{everywhere}\n{there}", "weight": statement("weight_of_suspects_in_zones")}
