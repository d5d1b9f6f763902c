"""The figures by name, in the order in which they are measured and printed."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.figures import Figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures import (
    cold_start,
    heavy_model,
    http2,
    live_under_attack,
    lone_latency,
    memory,
    throughput,
)

AT_ONCE: Final = (1, 8, 32)

EVERY: Final[Mapping[str, Callable[[Lab], Figure]]] = MappingProxyType(
    {
        **{f"raw_c{count}": throughput.measure(f"raw_c{count}", launches.raw, connections=count) for count in AT_ONCE},
        **{
            f"throughput_c{count}": throughput.measure(f"throughput_c{count}", launches.batching, connections=count)
            for count in AT_ONCE
        },
        **{f"h2_c{count}": http2.measure(f"h2_c{count}", at_once=count) for count in AT_ONCE},
        "lone_latency": lone_latency.measure,
        "cold_start": cold_start.measure,
        "memory": memory.measure,
        "heavy_model": heavy_model.measure,
        "live_under_attack": live_under_attack.measure,
    }
)
