"""The figures by name, in the order of measurement and output.

EVERY has those of `scripts/bench`, PROTOCOLS those of `scripts/bench protocols`, EVENTS those of `scripts/bench
events`, LARGE_MODEL those of `scripts/bench large_model`, REGISTRY those of `scripts/bench registry`, WASM those of
`scripts/bench wasm`.
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
    events,
    grpc_calls,
    heavy_model,
    http2,
    json_million,
    large_model,
    live_under_attack,
    lone_latency,
    memory,
    prediction_log,
    protocols,
    throughput,
    transfers,
    v2_binary,
    wasm,
)

CONCURRENCY: Final = (1, 8, 32)

EVERY: Final[Mapping[str, Callable[[Lab], Figure]]] = MappingProxyType(
    {
        **{
            f"raw_c{count}": throughput.measure(f"raw_c{count}", launches.raw, connections=count)
            for count in CONCURRENCY
        },
        **{
            f"throughput_c{count}": throughput.measure(f"throughput_c{count}", launches.batching, connections=count)
            for count in CONCURRENCY
        },
        **{f"h2_c{count}": http2.measure(f"h2_c{count}", concurrency=count) for count in CONCURRENCY},
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
        "grpc_ml_v1": grpc_calls.compare_with_predict("grpc_ml_v1", ML_V1),
        "grpc_v2": grpc_calls.compare_with_predict("grpc_v2", OPEN_INFERENCE),
        "grpc_peer": grpc_calls.compare_with_grpcio,
        "protocols_memory": protocols.memory,
        "protocols_start": protocols.cold_start,
    }
)

EVENTS: Final[Mapping[str, Callable[[Lab], Figure]]] = MappingProxyType(
    {"events": events.events, "idempotency": events.idempotency, "logging": prediction_log.measure}
)
LARGE_MODEL: Final[Mapping[str, Callable[[Lab], Figure]]] = MappingProxyType(large_model.measures())
REGISTRY: Final[Mapping[str, Callable[[Lab], Figure]]] = MappingProxyType(transfers.Transfers().measures())
WASM: Final[Mapping[str, Callable[[Lab], Figure]]] = MappingProxyType(
    {"compute_us": wasm.compute, "request_ms": wasm.request, "cold_ms": wasm.cold}
)
