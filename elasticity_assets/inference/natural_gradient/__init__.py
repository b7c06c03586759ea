"""The default engine: the best Gaussian posterior with full covariance, by natural-gradient steps."""

from elasticity_assets.inference.natural_gradient.engine import Mode, fit, fit_mode

__all__ = ["Mode", "fit", "fit_mode"]
