"""The figures by name, in the order in which they are measured and printed.

EVERY are those of `scripts/bench`, PROTOCOLS those of `scripts/bench protocols`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.figures import Figure
from scripts.benchmarks.grpc_methods import ML_V1, OPEN_INFERENCE
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures import (
    cold_start,
    grpc_calls,
    heavy_model,
    http2,
    json_million,
    live_under_attack,
    lone_latency,
    memory,
    protocols,
    throughput,
    v2_binary,
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

PROTOCOLS: Final[Mapping[str, Callable[[Lab], Figure]]] = MappingProxyType(
    {
        "v2_binary": v2_binary.measure,
        "json_million": json_million.measure,
        "grpc_ml_v1": grpc_calls.beside_predict("grpc_ml_v1", ML_V1),
        "grpc_v2": grpc_calls.beside_predict("grpc_v2", OPEN_INFERENCE),
        "grpc_peer": grpc_calls.beside_grpcio,
        "protocols_memory": protocols.memory,
        "protocols_start": protocols.cold_start,
    }
)
