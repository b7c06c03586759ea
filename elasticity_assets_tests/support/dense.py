"""A dense, slow, plain reference: the best full-covariance Gaussian for a Poisson model, in float64.

Every parameter of every category in one vector; no structure is used, so nothing of the engines' algebra
is repeated here. Scales are fixed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import Fixed, HalfNormal, Priors


@dataclass(frozen=True)
class DenseFit:
    """Means and variances of the elasticities: global, of each category, of each product (in panel order)."""

    global_mean: float
    global_var: float
    category_mean: np.ndarray
    category_var: np.ndarray
    product_mean: np.ndarray
    product_var: np.ndarray


def _value(scale: HalfNormal | Fixed) -> float:
    assert isinstance(scale, Fixed), "the dense reference takes fixed scales"
    return scale.value


def joint_poisson_fit(panels: Sequence[Panel], priors: Priors, passes: int = 60) -> DenseFit:
    """Gaussian variational inference on the joint model of all categories, by Newton steps on its moments."""
    names: dict[tuple, int] = {("global",): 0}
    for c, panel in enumerate(panels):
        for name in [("beta", c), ("level", c), *[("control", c, k) for k in panel.control]]:
            names[name] = len(names)
        for t in range(panel.n_periods):
            names["period", c, t] = len(names)
        for i in range(panel.n_products):
            names["beta", c, i] = len(names)
            names["level", c, i] = len(names)
    size = len(names)
    precision, prior_mean = np.zeros((size, size)), np.zeros(size)

    def add_normal(name: tuple, sd: float, parent: tuple | None = None) -> None:
        contrast = np.zeros(size)
        contrast[names[name]] = 1.0
        if parent is not None:
            contrast[names[parent]] = -1.0
        precision[:] += np.outer(contrast, contrast) / sd**2

    add_normal(("global",), priors.global_sd)
    rows, units = [], []
    for c, panel in enumerate(panels):
        add_normal(("beta", c), _value(priors.category_spread), ("global",))
        add_normal(("level", c), max(priors.level_sd, 1e-6))
        prior_mean[names["beta", c]] = priors.global_mean
        prior_mean[names["level", c]] = priors.level_mean
        for k in panel.control:
            add_normal(("control", c, k), priors.control_sd)
        for t in range(panel.n_periods):
            add_normal(("period", c, t), _value(priors.period_spread))
        x = panel.centred_log_price() if priors.centred_price else panel.log_price
        for i in range(panel.n_products):
            add_normal(("beta", c, i), _value(priors.product_spread), ("beta", c))
            add_normal(("level", c, i), _value(priors.level_spread), ("level", c))
            prior_mean[names["beta", c, i]] = priors.global_mean
            prior_mean[names["level", c, i]] = priors.level_mean
            for t in np.flatnonzero(panel.observed[i]):
                row = np.zeros(size)
                row[names["beta", c, i]] = x[i, t]
                row[names["level", c, i]] = 1.0
                row[names["period", c, t]] = 1.0
                for k, name in enumerate(panel.control):
                    row[names["control", c, name]] = panel.controls[i, t, k]
                rows.append(row)
                units.append(panel.units[i, t])
    prior_mean[0] = priors.global_mean
    X, y = np.array(rows), np.array(units, dtype=np.float64)

    mean, covariance = prior_mean.copy(), np.zeros((size, size))
    for name, index in names.items():  # start where the data are
        if name[0] == "level" and len(name) == 3:
            mean[index] = np.log(y[X[:, index] == 1].mean() + 0.1)
    for step in range(passes):
        var = np.einsum("ij,jk,ik->i", X, covariance, X) if step > 10 else 0.0
        w = np.exp(X @ mean + var / 2)
        gradient = X.T @ (y - w) - precision @ (mean - prior_mean)
        covariance = np.linalg.inv(precision + (X.T * w) @ X)
        move = covariance @ gradient
        mean += move * min(1.0, 2.0 / np.abs(X @ move).max())
    assert np.abs(move).max() < 1e-8, "the dense reference did not converge"
    variance = np.diag(covariance)

    def pick(level: int) -> np.ndarray:
        return np.array([i for name, i in names.items() if name[0] == "beta" and len(name) == level])

    return DenseFit(mean[0], variance[0], mean[pick(2)], variance[pick(2)], mean[pick(3)], variance[pick(3)])
