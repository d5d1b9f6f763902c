"""The cost of a WebAssembly guest in C that asks for inference: ours minus a floor without a guest.

    compute_us    a guest's call of compute; the floor is the predictor on the event loop of the same process
    request_ms    a request to the example, with a fresh instance; the floor is the predict API of the same server
    cold_ms       the start until the example answers, its compiled code in S3; the floor is a start without a guest

`difference` is the median of the pairs' differences.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check_answers, keep_alive, wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.dialects import Dialect
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.guests import building
from scripts.benchmarks.lab import Lab, output_of
from scripts.benchmarks.s3 import BUCKET, publish
from scripts.benchmarks.servers import Launch, Server, pinned, running
from scripts.benchmarks.subjects import Subject

COMPUTATIONS: Final = 5000
REQUESTS: Final = 500
PAUSE_SECONDS: Final = 0.001  # the server is idle again before the next request
PREDICT: Final = Dialect(request=lambda row: {"inputs": list(row)}, outputs=lambda answer: answer["outputs"]["label"])
GUEST: Final = Dialect(request=list, outputs=lambda answer: answer["digits"])
PROGRAM: Final = "scripts.benchmarks.guests"


def compute(lab: Lab, *, count: int = COMPUTATIONS) -> Figure:
    """Measure microseconds of one computation, one row each. `thread_us` is that of a Python thread."""
    guest = building.computing()

    def one(what: str) -> float:
        command = [sys.executable, "-m", f"{PROGRAM}.computing", what, str(lab.payment.path), str(guest)]
        return float(output_of(pinned(lab.server_cpu, [*command, str(count)]), json.dumps(lab.payment.rows[0])))

    pairs = measure_pairs(lab.guard, lab.rounds, ours=lambda: one("guest"), floor=lambda: one("predictor"))
    return _figure("compute_us", pairs, {"thread_us": one("thread")})


def request(lab: Lab, *, count: int = REQUESTS) -> Figure:
    """Measure the median milliseconds of one request at a time over a keep-alive connection."""
    with tempfile.TemporaryDirectory() as cache:
        launch = _serving(lab.digits, str(lab.digits.path), cache, {"SCALEZERO_GUEST_URI": str(building.example())})
        with running(launch, cpu=lab.server_cpu) as server:
            contenders = _of_guest(server, lab.digits), (server, lab.digits.in_dialect(PREDICT))
            for each in contenders:
                wait_for_first_answer(*each)
                check_answers(*each)
            ours, floor = contenders
            pairs = measure_pairs(
                lab.guard, lab.rounds, ours=lambda: _latency(*ours, count), floor=lambda: _latency(*floor, count)
            )
    return _figure("request_ms", pairs)


def cold(lab: Lab) -> Figure:
    """Measure milliseconds until the first correct answer. Both pull from S3 into an empty cache."""
    uri, model = f"s3://{BUCKET}/wasm-digits/main.wasm", publish(lab.digits.path, lab.s3)
    command = [sys.executable, "-m", f"{PROGRAM}.publishing", str(building.example()), uri]
    code = output_of(["env", *(f"{name}={value}" for name, value in lab.s3.items()), *command]).strip()

    def start(environment: Mapping[str, str], *, guest: bool) -> float:
        with tempfile.TemporaryDirectory() as cache:
            launch = _serving(lab.digits, model, cache, {**lab.s3, **environment})
            with running(launch, cpu=lab.server_cpu) as server:
                asked = _of_guest(server, lab.digits) if guest else (server, lab.digits.in_dialect(PREDICT))
                return wait_for_first_answer(*asked) * 1e3

    def ours() -> float:
        return start({"SCALEZERO_GUEST_URI": uri, "SCALEZERO_GUEST_CODE": code}, guest=True)

    def floor() -> float:
        return start({}, guest=False)

    ours(), floor()  # not counted: the first start compiles the bytecode
    return _figure("cold_ms", measure_pairs(lab.guard, lab.rounds, ours=ours, floor=floor))


def _figure(name: str, pairs: Sequence[Pair], extra: Mapping[str, float] | None = None) -> Figure:
    difference = statistics.median(pair.ours - pair.floor for pair in pairs)
    return figure(name, pairs, {"difference": difference, **(extra or {})})


def _serving(subject: Subject, uri: str, cache: str, environment: Mapping[str, str]) -> Launch:
    return launches.ours(subject, uri, cache, {**launches.BATCHING, **environment})


def _of_guest(server: Server, subject: Subject) -> tuple[Server, Subject]:
    """Return the server with the path of its guest, and the subject with its requests."""
    return replace(server, launch=replace(server.launch, path="/")), subject.in_dialect(GUEST)


def _latency(server: Server, subject: Subject, count: int) -> float:
    waits = []
    with keep_alive(server, subject, 0) as caller:
        for _ in range(count):
            time.sleep(PAUSE_SECONDS)
            start = time.perf_counter()
            caller.send()
            waits.append(time.perf_counter() - start)
    return statistics.median(waits) * 1e3
