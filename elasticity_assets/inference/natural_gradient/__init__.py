"""The default engine: the best Gaussian posterior with full covariance, by natural-gradient steps."""

from elasticity_assets.inference.natural_gradient.engine import Mode, Problem, fit

__all__ = ["Mode", "Problem", "fit"]
