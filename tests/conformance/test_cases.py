"""Regression tests over HTTP: eight concurrent callers, each answer compared with a run of its input alone."""

from pathlib import Path

import pytest

from tests.conformance.callers import check_answer, reference, send_concurrently
from tests.conformance.cases import CASES
from tests.runtime.frontends.conftest import serving

CALLERS, WAVES = 8, 3


@pytest.mark.parametrize("batch_size", [32, 1])
@pytest.mark.parametrize("name", list(CASES))
def test_concurrent_callers_get_the_answers_to_their_own_inputs(tmp_path: Path, name: str, batch_size: int) -> None:
    case = CASES[name]
    path = case.make(tmp_path / "m.onnx")
    names, run = reference(path)
    with serving(tmp_path, path, SCALEZERO_BATCH_SIZE=str(batch_size)) as served:
        for wave in range(WAVES):
            requests = [case.tensors(100 * wave + caller) for caller in range(CALLERS)]
            for tensors, response in zip(requests, send_concurrently(served, names, requests), strict=True):
                check_answer(case, run, tensors, response)
        batching = served.get("/api/v1/models/m").json()["batching"]
    assert batching["reason"]
    if not case.shares or batch_size == 1:
        assert not batching["batchable"], batching
