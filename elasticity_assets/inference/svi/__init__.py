"""NumPyro's stochastic variational inference on the same density."""

from elasticity_assets.inference.svi.engine import fit, fit_joint

__all__ = ["fit", "fit_joint"]
