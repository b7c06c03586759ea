import threading
from collections import Counter

import jax
import pytest

from elasticity_assets.fitting import compile_ahead
from elasticity_assets.inference.judging import heldout
from elasticity_assets.inference.options import NaturalGradientOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.simulate import Simulation, simulated_panels


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Programs compiled by this process, by their functions' names, as if it had compiled none ahead."""
    programs: Counter[str] = Counter()

    def count(event: str, _: float, **of: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            programs[str(of.get("fun_name"))] += 1

    monkeypatch.setattr(compile_ahead, "_begun", threading.Lock())
    jax.monitoring.register_event_duration_secs_listener(count)
    return programs


def begin(panel: Panel, *, judged: int) -> None:
    options = NaturalGradientOptions()
    compile_ahead.compile_ahead(panel, DEFAULT, "poisson", options, judged=judged, two_slopes=True)
    for thread in threading.enumerate():
        if thread.name == "compile ahead":
            thread.join()


def test_what_was_compiled_ahead_is_not_compiled_again(compiled: Counter[str]) -> None:
    # A shape that no other test has.
    panel = simulated_panels(Simulation(products=3, weeks=19, categories=1, likelihood="poisson"))[0][0]
    begin(panel, judged=1)
    ahead = compiled["jit(_run)"]
    assert ahead == 1  # no regular prices: no two slopes
    heldout.evaluate(panel, DEFAULT, "poisson")  # without slow demand, its rivals' program is its own
    assert compiled["jit(_run)"] == ahead


def test_nothing_is_compiled_that_the_run_does_not_need_nor_twice_a_process(compiled: Counter[str]) -> None:
    panel = simulated_panels(Simulation(products=3, weeks=18, categories=1, likelihood="poisson"))[0][0]
    begin(panel, judged=0)
    assert not compiled["jit(_run)"]
    begin(panel, judged=1)
    assert not compiled["jit(_run)"]


def test_a_sample_of_a_large_category_has_its_own_programs(
    compiled: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = heldout.Effort(cells=1, folds=5)
    monkeypatch.setattr(heldout, "_FEWEST_PRODUCTS", 8)
    monkeypatch.setattr(heldout.Effort, "for_each_of", lambda _: few)
    # A shape that no other test has.
    panel = simulated_panels(Simulation(products=9, weeks=173, categories=1, likelihood="poisson"))[0][0]
    begin(panel, judged=101)
    assert compiled["jit(_run)"] == 1  # without slow demand the rivals' is the model's
    heldout.evaluate(panel, DEFAULT, "poisson", effort=few)
    assert compiled["jit(_run)"] == 1
