"""Each input that was answered wrongly once, over HTTP: eight callers at once, each compared with its own run alone."""

from pathlib import Path

import pytest

from tests.conformance.callers import all_at_once, check, reference
from tests.conformance.cases import CASES
from tests.runtime.frontends.conftest import serving

CALLERS, WAVES = 8, 3


@pytest.mark.parametrize("batch_size", [32, 1])
@pytest.mark.parametrize("name", list(CASES))
def test_callers_at_once_get_the_answers_of_their_own_inputs(tmp_path: Path, name: str, batch_size: int) -> None:
    case = CASES[name]
    path = case.make(tmp_path / "m.onnx")
    names, run = reference(path)
    with serving(tmp_path, path, SCALEZERO_BATCH_SIZE=str(batch_size)) as served:
        for wave in range(WAVES):
            requests = [case.tensors(100 * wave + caller) for caller in range(CALLERS)]
            for tensors, response in zip(requests, all_at_once(served, names, requests), strict=True):
                check(case, run, tensors, response)
        batching = served.get("/api/v1/models/m").json()["batching"]
    assert batching["reason"]
    if not case.shares or batch_size == 1:
        assert not batching["batchable"], batching
