"""How strong something unseen would have to be to overturn an elasticity, in words."""

from elasticity_assets.inference.judging.observed_controls import ObservedControl


def sensitivity(robustness: float, known: ObservedControl, whose: str = "half the products") -> str:
    """Say how strong something unseen would have to be, beside a control that is known.

    Parameters
    ----------
    robustness : float
        Of those products.
    known : ObservedControl
    whose : str
        The products whose interval it moves.
    """
    said = (
        f"Something unseen would have to explain {robustness:.0%} of what the model leaves of both prices and sales to "
        f"move the interval of {whose} to −1 or 0"
    )
    if not known.name:
        return said
    return f"{said}; {known.name} explains {known.of_prices:.0%} of prices and {known.of_sales:.0%} of sales"
