"""Tests that all protocols return the same output for the same tensor, and share runs."""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from runtime.frontends.catalogue import PROTOCOLS
from tests import models
from tests.conformance.callers import runs_and_rows
from tests.conformance.dialects import Dialect, served_dialects
from tests.conformance.test_concurrency import payments_slowly
from tests.runtime.frontends.conftest import Served, serving

DIALECTS = served_dialects()
FLOATS = np.finfo(np.float32)
WITHOUT_INFERENCE = {"torchserve_management", "torchserve_metrics"}
CALLS = 3  # of each dialect


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.rotated(folder / "m.onnx")) as served:
        yield served


def rows() -> np.ndarray:
    """Return float32 numbers of all magnitudes. No form of a protocol may round them."""
    random = np.random.default_rng(1)
    ordinary = random.normal(size=(20, 3)) * 10.0 ** random.integers(-20, 20, size=(20, 3))
    edges = [[FLOATS.smallest_subnormal, -0.0, 0.1], [FLOATS.max / 8, FLOATS.tiny, 16777217.0]]
    return np.vstack([ordinary, np.array(edges)]).astype(np.float32)


def test_there_is_a_dialect_for_every_served_protocol() -> None:
    tested = {(dialect.protocol, dialect.over) for dialect in DIALECTS}
    inferring = [protocol for protocol in PROTOCOLS if protocol.name not in WITHOUT_INFERENCE]
    rest = {(protocol.name, "rest") for protocol in inferring if protocol.rest}
    grpc = {(protocol.name, "grpc") for protocol in inferring if protocol.grpc}
    assert tested == {("predict", "rest"), *rest, *grpc}


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_tensor_gets_the_same_output_from_every_protocol(served: Served, dialect: Dialect) -> None:
    ours, theirs = DIALECTS[0].send(served, rows()).output, dialect.send(served, rows()).output
    assert (theirs.dtype, theirs.shape) == (ours.dtype, ours.shape)
    assert theirs.tobytes() == ours.tobytes()
    assert len(np.unique(ours)) > 50  # so that the comparison is meaningful


def test_requests_of_several_protocols_share_a_run(tmp_path: Path) -> None:
    """During a run, the requests of all protocols wait for the next one. Requests of one run have the same duration."""
    x = np.random.default_rng(1).normal(size=(1, 30)).astype(np.float32)
    calls = DIALECTS * CALLS
    model = payments_slowly(tmp_path / "m.onnx")
    with serving(tmp_path, model, SCALEZERO_BATCHING="always", SCALEZERO_TIMEOUT="20s") as served:
        before, _ = runs_and_rows(served)
        with ThreadPoolExecutor(len(calls)) as callers:
            answers = list(callers.map(lambda dialect: dialect.send(served, x), calls))
        runs = runs_and_rows(served)[0] - before
    assert runs < len(calls)
    protocols_of_run = defaultdict(set)
    for dialect, answer in zip(calls, answers, strict=True):
        if dialect.protocol != "cloudevents":  # the reply to an event has no Server-Timing
            protocols_of_run[answer.headers["server-timing"].rpartition("run;dur=")[2]].add(dialect.protocol)
    assert len(protocols_of_run) <= runs
    assert max(map(len, protocols_of_run.values())) > 1
    expected = answers[0].output
    for answer in answers:
        np.testing.assert_allclose(answer.output, expected, rtol=1e-4, atol=1e-5)  # batches of different sizes
