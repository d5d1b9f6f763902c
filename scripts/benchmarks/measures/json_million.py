"""JSON tensors of a million numbers, decoded and bound per second, compared with orjson and NumPy alone.

The figure is the worst of the protocols' forms of a tensor: flat, rows of the predict API, and TensorFlow Serving's
instances. It is measured in process, without a server or a model.
"""

import sys
from dataclasses import replace
from typing import Final

from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.floors.json_numpy import FORMS
from scripts.benchmarks.lab import Lab, output_of
from scripts.benchmarks.servers import pinned

OURS: Final = "scripts.benchmarks.decoding"
FLOOR: Final = "scripts.benchmarks.floors.json_numpy"


def measure(lab: Lab) -> Figure:
    """Measure tensors per second. `ratio_NAME` is the ratio of one form."""
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

    return figure(
        "json_million", measure_pairs(lab.guard, lab.rounds, ours=lambda: rate(OURS), floor=lambda: rate(FLOOR))
    )
