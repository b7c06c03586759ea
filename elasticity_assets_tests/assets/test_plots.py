import base64

import numpy as np
import pytest

from elasticity_assets.assets import plots
from elasticity_assets.inference.posterior import summarize


def png_size(markdown: str) -> tuple[int, int]:
    """Width and height that the embedded image declares."""
    image = base64.b64decode(markdown.split("base64,")[1].rstrip(")"))
    assert image.startswith(b"\x89PNG")
    return int.from_bytes(image[16:20]), int.from_bytes(image[20:24])


NAMES = ["$", "_hidden", "🧀 [x](y)", "a" * 100]


@pytest.mark.parametrize("n", [0, 1, 4, 500])
def test_elasticities_are_drawn_small_whatever_the_names(n: int) -> None:
    names = [NAMES[i % len(NAMES)] for i in range(n)]
    summary = summarize(np.ones(1), np.linspace(-3, 0, n)[None], np.full((1, n), 0.1))
    value = plots.elasticities(names, summary, "of $ [all] 🧀").value
    width, height = png_size(value)
    assert 300 <= width <= 1000
    assert 50 <= height <= 1000
    assert len(value) < 100_000


def test_more_bars_make_a_higher_plot() -> None:
    def height(n: int) -> int:
        summary = summarize(np.ones(1), np.linspace(-3, 0, n)[None], np.full((1, n), 0.1))
        return png_size(plots.elasticities([str(i) for i in range(n)], summary, "t").value)[1]

    assert height(2) < height(20) < height(40) == height(4000)


def test_traces_may_be_empty_or_hold_nan() -> None:
    traces = [np.zeros(0), np.array([np.nan, -5.0, -4.0]), np.array([-9.0, -4.0])]
    assert len({png_size(plots.elbo_trace(trace).value) for trace in traces}) == 1
