"""A dense, slow, plain reference for the engines: the best full-covariance Gaussian of a Poisson model, in float64.

Every parameter of every category is in one vector; no structure is used, so nothing of the engines' algebra
is repeated here. Scales are fixed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import Fixed, HalfNormal, Priors

Name = tuple[str | int, ...]


@dataclass(frozen=True)
class DenseFit:
    """Means and variances of the elasticities.

    Attributes
    ----------
    global_mean, global_var : float
    category_mean, category_var : (categories,) arrays
    product_mean, product_var : (products,) arrays
        Of all categories, in the order of the panels.
    """

    global_mean: float
    global_var: float
    category_mean: np.ndarray
    category_var: np.ndarray
    product_mean: np.ndarray
    product_var: np.ndarray


def _value(scale: HalfNormal | Fixed) -> float:
    if not isinstance(scale, Fixed):
        raise TypeError(f"the dense reference takes fixed scales, not {scale}")
    return scale.value


def joint_poisson_fit(panels: Sequence[Panel], priors: Priors, passes: int = 60) -> DenseFit:
    """Fit a Gaussian to the joint model of all categories, by Newton steps on its moments.

    Parameters
    ----------
    panels : sequence of Panel
        Small ones: memory and time grow with the square and the cube of all parameters together.
    priors : Priors
        With fixed scales.
    passes : int
        Newton steps.

    Raises
    ------
    TypeError
        If a scale is not fixed.
    RuntimeError
        If the last step still moved a mean by 1e-8 or more.
    """
    names = _parameters(panels)
    precision, prior_mean = _with_experiments(panels, names, *_prior(panels, priors, names))
    design, units = _cells(panels, priors, names)
    mean, covariance = prior_mean.copy(), np.zeros_like(precision)
    for name, index in names.items():  # start where the data are
        if name[0] == "level" and len(name) == 3:
            mean[index] = np.log(units[design[:, index] == 1].mean() + 0.1)
    for step in range(passes):
        var = np.einsum("ij,jk,ik->i", design, covariance, design) if step > 10 else 0.0
        expected = np.exp(design @ mean + var / 2)
        gradient = design.T @ (units - expected) - precision @ (mean - prior_mean)
        covariance = np.linalg.inv(precision + (design.T * expected) @ design)
        move = covariance @ gradient
        mean += move * min(1.0, 2.0 / np.abs(design @ move).max())
    if not np.abs(move).max() < 1e-8:
        raise RuntimeError(f"the dense reference did not converge in {passes} steps")
    variance = np.diag(covariance)

    def pick(level: int) -> np.ndarray:
        return np.array([i for name, i in names.items() if name[0] == "beta" and len(name) == level])

    return DenseFit(mean[0], variance[0], mean[pick(2)], variance[pick(2)], mean[pick(3)], variance[pick(3)])


def _parameters(panels: Sequence[Panel]) -> dict[Name, int]:
    """Place of each parameter in the vector: what it is, its category, and its product, period or control."""
    names: dict[Name, int] = {("global",): 0}
    for c, panel in enumerate(panels):
        of_category: list[Name] = [("beta", c), ("level", c), *(("control", c, k) for k in panel.control)]
        of_category += [("period", c, t) for t in range(panel.n_periods)]
        of_category += [(kind, c, i) for i in range(panel.n_products) for kind in ("beta", "level")]
        for name in of_category:
            names[name] = len(names)
    return names


def _prior(panels: Sequence[Panel], priors: Priors, names: dict[Name, int]) -> tuple[np.ndarray, np.ndarray]:
    """Precision matrix and means of all parameters."""
    size = len(names)
    precision, mean = np.zeros((size, size)), np.zeros(size)

    def add_normal(name: Name, sd: float, parent: Name | None = None) -> None:
        contrast = np.zeros(size)
        contrast[names[name]] = 1.0
        if parent is not None:
            contrast[names[parent]] = -1.0
        precision[:] += np.outer(contrast, contrast) / sd**2

    add_normal(("global",), priors.global_sd)
    for c, panel in enumerate(panels):
        add_normal(("beta", c), _value(priors.category_spread), ("global",))
        add_normal(("level", c), max(priors.level_sd, 1e-6))
        for k in panel.control:
            add_normal(("control", c, k), priors.control_sd)
        for t in range(panel.n_periods):
            add_normal(("period", c, t), _value(priors.period_spread))
        for i in range(panel.n_products):
            add_normal(("beta", c, i), _value(priors.product_spread), ("beta", c))
            add_normal(("level", c, i), _value(priors.level_spread), ("level", c))
    for name, index in names.items():
        if name[0] in ("global", "beta"):
            mean[index] = priors.global_mean
        elif name[0] == "level":
            mean[index] = priors.level_mean
    return precision, mean


def _with_experiments(
    panels: Sequence[Panel], names: dict[Name, int], precision: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Multiply the prior by the Gaussians of what was found elsewhere."""
    pull = precision @ mean
    for c, panel in enumerate(panels):
        places = [names["beta", c], *(names["beta", c, i] for i in range(panel.n_products))]
        results = [panel.category_experiment, *panel.experiments()[: panel.n_products]]
        for place, (found, known) in zip(places, results, strict=True):
            precision[place, place] += known
            pull[place] += known * found
    return precision, np.linalg.solve(precision, pull)


def _cells(panels: Sequence[Panel], priors: Priors, names: dict[Name, int]) -> tuple[np.ndarray, np.ndarray]:
    """Design matrix and units of all observed cells."""
    rows, units = [], []
    for c, panel in enumerate(panels):
        x = panel.centred_log_price() if priors.centred_price else panel.log_price
        for i, t in np.argwhere(panel.observed):
            row = np.zeros(len(names))
            row[names["beta", c, i]] = x[i, t]
            row[names["level", c, i]] = 1.0
            row[names["period", c, t]] = 1.0
            for k, name in enumerate(panel.control):
                row[names["control", c, name]] = panel.controls[i, t, k]
            rows.append(row)
            units.append(panel.units[i, t])
    return np.array(rows), np.array(units, dtype=np.float64)
