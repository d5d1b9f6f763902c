"""JSON tensors of a million numbers: how many are decoded and bound in a second, beside orjson and NumPy alone.

The figure is the worst of the forms in which the protocols have a tensor: flat, as rows of the predict API, and as
TensorFlow Serving's instances. All of it is in process: no server, no model.
"""

import sys
from dataclasses import replace
from typing import Final

from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.floors.json_numpy import FORMS
from scripts.benchmarks.lab import Lab, output_of
from scripts.benchmarks.servers import pinned

OURS: Final = "scripts.benchmarks.decoding"
FLOOR: Final = "scripts.benchmarks.floors.json_numpy"


def measure(lab: Lab) -> Figure:
    """Tensors per second; `ratio_NAME` is the ratio of one form."""
    figures = {form: _measured(lab, form) for form in FORMS}
    worst = min(figures.values(), key=lambda each: each.ratio)
    return replace(
        worst,
        disturbed=sum(each.disturbed for each in figures.values()),
        pairs=sum(each.pairs for each in figures.values()),
        extra={f"ratio_{form}": each.ratio for form, each in figures.items()},
    )


def _measured(lab: Lab, form: str) -> Figure:
    def rate(module: str) -> float:
        return float(output_of(pinned(lab.server_cpu, [sys.executable, "-m", module, form])))

    return figure("json_million", in_turns(lab.guard, lab.rounds, ours=lambda: rate(OURS), floor=lambda: rate(FLOOR)))
