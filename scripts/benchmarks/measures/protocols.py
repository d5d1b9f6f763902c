"""The cost of protocols that are enabled but not used, and the memory when all of them are used.

Ours with all protocols is compared with ours with only ml.v1, the smallest one: the memory after the first answer of
the predict API, and the time from the start to this answer.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from statistics import median
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import send_request, wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.grpc_client import check_calls
from scripts.benchmarks.grpc_methods import ML_V1, OPEN_INFERENCE, TENSORFLOW_SERVING
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.memory import MIB, ROUNDS, wait_until_unshared
from scripts.benchmarks.servers import Server, running
from scripts.benchmarks.subjects import Subject

ALL: Final[dict[str, str]] = {}
FEWEST: Final = {"SCALEZERO_PROTOCOLS": "ml.v1"}
Measure = Callable[[dict[str, str]], float]


def memory(lab: Lab) -> Figure:
    """Measure MiB. `unused_mib` is the median difference; `used_mib` is added by a first request to each protocol."""
    used: list[float] = []

    def measure_memory(protocols: dict[str, str]) -> float:
        wait_until_unshared(lab)
        with started(lab, protocols) as (server, _):
            before = server.memory()
            if protocols is ALL:
                use_all(server, lab.payment)
                used.append((server.memory() - before) / MIB)
            return before / MIB

    pairs = measure_pairs(
        lab.guard, min(ROUNDS, lab.rounds), ours=lambda: measure_memory(ALL), floor=lambda: measure_memory(FEWEST)
    )
    unused = median(pair.ours - pair.floor for pair in pairs)
    return figure("protocols_memory", pairs, {"unused_mib": unused, "used_mib": median(used)})


def cold_start(lab: Lab) -> Figure:
    """Measure milliseconds from the start to the first correct answer. The model is on disk."""

    def start(protocols: dict[str, str]) -> float:
        with started(lab, protocols) as (_, seconds):
            return seconds * 1e3

    start(ALL)  # not counted: the first start compiles the bytecode
    return figure(
        "protocols_start", measure_pairs(lab.guard, lab.rounds, ours=lambda: start(ALL), floor=lambda: start(FEWEST))
    )


@contextmanager
def started(lab: Lab, protocols: dict[str, str]) -> Iterator[tuple[Server, float]]:
    """Start our server; yield it after its first answer, with the seconds since its start."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.payment, str(lab.payment.path), cache, {**launches.BATCHING, **protocols})
        with running(launch, cpu=lab.server_cpu) as server:
            yield server, wait_for_first_answer(server, lab.payment)


def use_all(server: Server, subject: Subject) -> None:
    """Send a row over each protocol. Raises CannotMeasure if one does not answer."""
    name, row = subject.name, list(subject.rows[0])
    tensor = {"name": subject.input_name, "shape": [1, len(row)], "datatype": "FP32", "data": row}
    bodies = {
        f"/v2/models/{name}/infer": {"inputs": [tensor]},
        f"/v1/models/{name}:predict": {"instances": [row]},
        f"/predictions/{name}": {"inputs": [row]},
    }
    for path, body in bodies.items():
        reply = send_request(server, "POST", path, json.dumps(body).encode())
        if reply.status != HTTPStatus.OK:
            raise CannotMeasure(f"{path} answered {reply.status} {reply.text[:200]!r}")
    for method in (ML_V1, OPEN_INFERENCE, TENSORFLOW_SERVING):
        check_calls(server, subject, method)
