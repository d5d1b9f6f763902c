"""Tests of the paths that TensorFlow Serving and KServe V1 share, with the real clients of both."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests import models
from tests.clients import SCRIPTS, interpreter
from tests.conformance import programs
from tests.runtime.frontends.conftest import Served, serving

KSERVE = ("kserve==0.21.0", "psutil<6", "protobuf<7")
OVMSCLIENT = ("ovmsclient==2023.1",)
BOTH, ALONE = "tensorflow_serving,kserve_v1", "kserve_v1"


@pytest.fixture(scope="module", params=[BOTH, ALONE])
def protocols(request: pytest.FixtureRequest) -> str:
    protocols: str = request.param
    return protocols


@pytest.fixture(scope="module")
def served(protocols: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model with two inputs and two outputs, in version 7."""
    folder = tmp_path_factory.mktemp("served")
    model = models.two_in_two_out(folder / "m.onnx")
    with serving(folder, model, SCALEZERO_MODEL_VERSION="7", SCALEZERO_PROTOCOLS=protocols) as served:
        yield served


def test_kserves_client_gets_the_expected_answers(served: Served, protocols: str) -> None:
    found = programs.run([interpreter("kserve_client", *KSERVE), SCRIPTS / "kserve_v1_calls.py", str(served.port)])
    assert (found["live"], found["ready"]) == (True, True)
    first, second = {"total": [1.5, 2.25], "rest": [0.5, 1.75]}, {"total": [3, 4], "rest": [3, 4]}
    assert found["predictions"] == {"predictions": [first, second]}
    statuses = [found[key][0] for key in ("unknown_model", "unknown_ready", "wrong", "explanation")]
    assert statuses == [404, 404, 400, 501]
    message = "Model with name x does not exist." if protocols == ALONE else "Servable not found for request: Latest(x)"
    assert found["unknown_model"][1] == message


@pytest.mark.parametrize("protocols", [BOTH], indirect=True)
def test_ovmsclient_gets_the_expected_answers_over_http(served: Served) -> None:
    found = programs.run(
        [interpreter("ovmsclient", *OVMSCLIENT), SCRIPTS / "ovmsclient_http_calls.py", str(served.port)]
    )
    a, b = np.array([[1, 2], [3, 4]], np.float32), np.array([[0.1, 0.5], [1e-7, np.inf]], np.float32)
    np.testing.assert_array_equal(np.array(found["outputs"]["total"], np.float32), a + b)
    np.testing.assert_array_equal(np.array(found["outputs"]["rest"], np.float32), a - b)
    assert found["versioned"] == ["rest", "total"]
    available = {"7": {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}
    assert found["status"] == found["status_versioned"] == available
    expected = {
        "unknown_model": ("ModelNotFoundError", "Servable not found for request: Specific(x, 0)"),
        "unknown_version": ("ModelNotFoundError", "Servable not found for request: Specific(m, 5)"),
        "unknown_status": ("ModelNotFoundError", "Could not find version 5 of model m"),
        "missing": ("InvalidInputError", "Missing named input: b in 'inputs' object."),
    }
    for key, (kind, text) in expected.items():
        assert found[key][0] == kind
        assert found[key][1].endswith(text)
