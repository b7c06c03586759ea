"""Draw the model as a graph: python docs/make_model_graph.py.

Writes docs/model_graph.svg, and the package's copy, which the UI shows. Needs Graphviz's program `dot`.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpyro

from elasticity_assets.inference.density.model import Model, stack_panels
from elasticity_assets.inference.priors import DEFAULT, Season, SlowDemand
from elasticity_assets.inference.simulate import Simulation, simulated_panels

ROOT = Path(__file__).parents[1]
FILES = (ROOT / "docs" / "model_graph.svg", ROOT / "elasticity_assets" / "report" / "model_graph.svg")


def main() -> None:
    """Render the joint model of a tiny simulated panel of two categories."""
    size = Simulation(products=4, weeks=6, categories=2, control_effects=(0.5,))
    panels, _ = simulated_panels(size, seed=0)
    sales = stack_panels(panels, centred_price=True)
    priors = replace(DEFAULT, slow_demand=SlowDemand(), season=Season())
    model = Model(priors, "negative_binomial", joint=True)
    graph = numpyro.render_model(model, model_args=(sales,), render_distributions=True)
    svg = graph.pipe(format="svg").decode()
    # The comments hold the renderer's version and date.
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    for file in FILES:
        file.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
