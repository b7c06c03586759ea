"""What is known of each product when its price is chosen."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Products:
    """Products, one an element; all arrays have shape (n,).

    Attributes
    ----------
    product : str array
        Codes, each once.
    price : float array
        Today's, in the currency of the files: the regular one, where it is known.
    price_paid : float array
        Of the last period: another one where that had a promotion.
    units : float array
        Sold a period of late.
    cost : float array
        Of a unit; NaN where not known.
    elasticity, elasticity_sd : float array
        Mean and standard deviation of the normal posterior of the elasticity.
    category : int array
        Number of its category, from 0.
    index_effect, index_effect_sd : float array
        Mean and standard deviation of what the category's price index, the mean log price of its products, does to log
        units, beside the elasticity; the same for all products of a category.
    estimated : bool array
        Whether the elasticity is the product's own; else no price is recommended.
    confounded : bool array
        Whether prices of its category seem to follow demand, which biases the elasticity; then, too, none is.
    tested : bool array
        Whether that was tested.
    price_min, price_max : float array
        Lowest and highest price ever charged.
    """

    product: np.ndarray
    price: np.ndarray
    price_paid: np.ndarray
    units: np.ndarray
    cost: np.ndarray
    elasticity: np.ndarray
    elasticity_sd: np.ndarray
    category: np.ndarray
    index_effect: np.ndarray
    index_effect_sd: np.ndarray
    estimated: np.ndarray
    confounded: np.ndarray
    tested: np.ndarray
    price_min: np.ndarray
    price_max: np.ndarray

    def __len__(self) -> int:
        return len(self.product)

    def take(self, which: np.ndarray | slice) -> "Products":
        """Take some of the products."""
        return Products(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


@dataclass(frozen=True)
class CrossEffects:
    """What a product's price does to others' units, as entries of a sparse matrix; each array has shape (m,).

    Attributes
    ----------
    changed, affected : int array
        Places of the product whose price changes, ascending, and of the one whose units do.
    elasticity, elasticity_sd : float array
        Mean and standard deviation of the normal posterior of d log units / d log price.
    """

    changed: np.ndarray
    affected: np.ndarray
    elasticity: np.ndarray
    elasticity_sd: np.ndarray

    @classmethod
    def none(cls) -> "CrossEffects":
        """No effects."""
        return cls(*(np.zeros(0, kind) for kind in (np.int64, np.int64, np.float64, np.float64)))

    def of(self, places: np.ndarray) -> "CrossEffects":
        """Give the effects of the prices of some products, `changed` being places among these."""
        first = np.searchsorted(self.changed, places)
        count = np.searchsorted(self.changed, places, side="right") - first
        entries = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
        return CrossEffects(
            np.repeat(np.arange(len(places)), count),
            self.affected[entries],
            self.elasticity[entries],
            self.elasticity_sd[entries],
        )
