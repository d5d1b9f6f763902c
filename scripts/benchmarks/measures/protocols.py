"""What the protocols cost whom does not use them, and how much memory they take once all of them are used.

Ours with every protocol stands beside ours with only ml.v1, which is the smallest: the memory after the first answer of
the predict API, and the time from the start to that answer.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from statistics import median
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import ask, first_right_answer
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.grpc_client import check_calls
from scripts.benchmarks.grpc_methods import ML_V1, OPEN_INFERENCE, TENSORFLOW_SERVING
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.memory import MIB, ROUNDS, alone
from scripts.benchmarks.servers import Server, running
from scripts.benchmarks.subjects import Subject

ALL: Final[dict[str, str]] = {}
FEWEST: Final = {"SCALEZERO_PROTOCOLS": "ml.v1"}
Measure = Callable[[dict[str, str]], float]


def memory(lab: Lab) -> Figure:
    """MiB; `unused_mib` is the median difference, `used_mib` what a first request to each protocol adds to it."""
    used: list[float] = []

    def weigh(protocols: dict[str, str]) -> float:
        alone(lab)
        with started(lab, protocols) as (server, _):
            before = server.memory()
            if protocols is ALL:
                use_all(server, lab.payment)
                used.append((server.memory() - before) / MIB)
            return before / MIB

    pairs = in_turns(lab.guard, min(ROUNDS, lab.rounds), ours=lambda: weigh(ALL), floor=lambda: weigh(FEWEST))
    unused = median(pair.ours - pair.floor for pair in pairs)
    return figure("protocols_memory", pairs, {"unused_mib": unused, "used_mib": median(used)})


def cold_start(lab: Lab) -> Figure:
    """Milliseconds from the start to the first right answer; the model is on disk."""

    def start(protocols: dict[str, str]) -> float:
        with started(lab, protocols) as (_, seconds):
            return seconds * 1e3

    start(ALL)  # not counted: the first start compiles the bytecode
    return figure(
        "protocols_start", in_turns(lab.guard, lab.rounds, ours=lambda: start(ALL), floor=lambda: start(FEWEST))
    )


@contextmanager
def started(lab: Lab, protocols: dict[str, str]) -> Iterator[tuple[Server, float]]:
    """Our server after its first answer, and the seconds that this took."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.payment, str(lab.payment.path), cache, {**launches.BATCHING, **protocols})
        with running(launch, cpu=lab.server_cpu) as server:
            yield server, first_right_answer(server, lab.payment)


def use_all(server: Server, subject: Subject) -> None:
    """Ask for a row in each protocol. Raises CannotMeasure where one does not answer."""
    name, row = subject.name, list(subject.rows[0])
    tensor = {"name": subject.input_name, "shape": [1, len(row)], "datatype": "FP32", "data": row}
    bodies = {
        f"/v2/models/{name}/infer": {"inputs": [tensor]},
        f"/v1/models/{name}:predict": {"instances": [row]},
        f"/predictions/{name}": {"inputs": [row]},
    }
    for path, body in bodies.items():
        reply = ask(server, "POST", path, json.dumps(body).encode())
        if reply.status != HTTPStatus.OK:
            raise CannotMeasure(f"{path} answered {reply.status} {reply.text[:200]!r}")
    for method in (ML_V1, OPEN_INFERENCE, TENSORFLOW_SERVING):
        check_calls(server, subject, method)
