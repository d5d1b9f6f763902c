"""The figures by name, in the order in which they are measured and printed."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from scripts.benchmarks.figures import Figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures import cold_start, heavy_model, lone_latency, memory, throughput

EVERY: Final[Mapping[str, Callable[[Lab], Figure]]] = MappingProxyType(
    {
        "cold_start": cold_start.measure,
        "throughput_c1": throughput.measure(1),
        "throughput_c8": throughput.measure(8),
        "throughput_c32": throughput.measure(32),
        "lone_latency": lone_latency.measure,
        "heavy_model": heavy_model.measure,
        "memory": memory.measure,
    }
)
