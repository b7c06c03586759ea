"""Innovations of the elasticities' scores, against dense matrices."""

import numpy as np
import pytest

from elasticity_assets.inference.serial_correlation import SlowDemandFound, innovations

PERIODS, DRAWS, PERSISTENCE = 40, 1000, 0.8


@pytest.mark.quick
@pytest.mark.parametrize("sd", [0.4, 0.1, 1e-4])
def test_innovations_add_up_to_the_score_and_do_not_correlate(sd: float) -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(0.0, 0.2, PERIODS // 10), 10)  # prices stay
    h = rng.gamma(2.0, 5.0, PERIODS) * (rng.random(PERIODS) < 0.8)
    lag = np.abs(np.subtract.outer(np.arange(PERIODS), np.arange(PERIODS)))
    covariance = sd**2 * PERSISTENCE**lag
    seen = h > 0
    M = np.zeros((PERIODS, PERIODS))
    M[np.ix_(seen, seen)] = np.linalg.inv(covariance[np.ix_(seen, seen)] + np.diag(1.0 / h[seen]))
    u = rng.normal(size=(DRAWS, PERIODS)) @ np.linalg.cholesky(covariance).T
    response = u + rng.normal(size=u.shape) / np.sqrt(np.where(seen, h, 1.0))
    mean = response @ M @ covariance
    scores = innovations(
        SlowDemandFound(mean, np.full(DRAWS, sd), PERSISTENCE),
        np.tile(x, (DRAWS, 1)),
        h * (response - mean),
        np.tile(h, (DRAWS, 1)),
    )
    np.testing.assert_allclose(scores.sum(axis=1), response @ M @ x, rtol=1e-8, atol=1e-8)
    assert (scores**2).sum(axis=1).mean() == pytest.approx(x @ M @ x, rel=0.05)
    for lags in range(1, 9):
        assert abs((scores[:, lags:] * scores[:, :-lags]).sum() / (scores**2).sum()) < 0.03
