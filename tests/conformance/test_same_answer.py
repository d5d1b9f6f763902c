"""One model, every protocol: the same tensor gets the same bits, and all of them share runs."""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from runtime.frontends.catalogue import PROTOCOLS
from tests import models
from tests.conformance.callers import runs_and_rows
from tests.conformance.dialects import Dialect, every
from tests.conformance.test_concurrency import payments_slowly
from tests.runtime.frontends.conftest import Served, serving

DIALECTS = every()
FLOATS = np.finfo(np.float32)
WITHOUT_INFERENCE = {"torchserve_management", "torchserve_metrics"}
CALLS = 3  # of each dialect


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.rotated(folder / "m.onnx")) as served:
        yield served


def rows() -> np.ndarray:
    """Numbers of every size that float32 has, none of which another form may round."""
    random = np.random.default_rng(1)
    ordinary = random.normal(size=(20, 3)) * 10.0 ** random.integers(-20, 20, size=(20, 3))
    edges = [[FLOATS.smallest_subnormal, -0.0, 0.1], [FLOATS.max / 8, FLOATS.tiny, 16777217.0]]
    return np.vstack([ordinary, np.array(edges)]).astype(np.float32)


def test_every_protocol_that_is_served_is_asked_here() -> None:
    asked = {(dialect.protocol, dialect.over) for dialect in DIALECTS}
    inferring = [protocol for protocol in PROTOCOLS if protocol.name not in WITHOUT_INFERENCE]
    rest = {(protocol.name, "rest") for protocol in inferring if protocol.rest}
    grpc = {(protocol.name, "grpc") for protocol in inferring if protocol.grpc}
    assert asked == {("predict", "rest"), *rest, *grpc}


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_tensor_gets_the_same_bits_from_every_protocol(served: Served, dialect: Dialect) -> None:
    ours, theirs = DIALECTS[0].ask(served, rows()).output, dialect.ask(served, rows()).output
    assert (theirs.dtype, theirs.shape) == (ours.dtype, ours.shape)
    assert theirs.tobytes() == ours.tobytes()
    assert len(np.unique(ours)) > 50  # a model that answers nothing would have them equal too


def test_a_run_holds_the_requests_of_several_protocols(tmp_path: Path) -> None:
    """While a run is under way the requests of all protocols gather; those of one run tell one duration of it."""
    x = np.random.default_rng(1).normal(size=(1, 30)).astype(np.float32)
    calls = DIALECTS * CALLS
    model = payments_slowly(tmp_path / "m.onnx")
    with serving(tmp_path, model, SCALEZERO_BATCHING="always", SCALEZERO_TIMEOUT="20s") as served:
        before, _ = runs_and_rows(served)
        with ThreadPoolExecutor(len(calls)) as callers:
            answers = list(callers.map(lambda dialect: dialect.ask(served, x), calls))
        runs = runs_and_rows(served)[0] - before
    assert runs < len(calls)
    together = defaultdict(set)
    for dialect, answer in zip(calls, answers, strict=True):
        together[answer.headers["server-timing"].rpartition("run;dur=")[2]].add(dialect.protocol)
    assert len(together) <= runs
    assert max(map(len, together.values())) > 1
    right = answers[0].output
    for answer in answers:
        np.testing.assert_allclose(answer.output, right, rtol=1e-4, atol=1e-5)  # batches of several sizes
